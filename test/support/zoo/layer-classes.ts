/** The classes of the layers of a model, with those inside of models, wrappers and recurrent layers. */

import type { LayersModel } from '@tensorflow/tfjs';

interface Nested {
  readonly layers?: readonly Nested[];
  readonly cells?: readonly Nested[];
  readonly layer?: Nested;
  readonly forwardLayer?: Nested;
  readonly cell?: Nested;
  getClassName(): string;
}

export function layerClassesOf(model: LayersModel): ReadonlySet<string> {
  const found = new Set<string>();
  const visit = (layer: Nested): void => {
    found.add(layer.getClassName());
    const { layers = [], cells = [], layer: wrapped, forwardLayer, cell } = layer;
    for (const inner of [...layers, ...cells, wrapped, forwardLayer, cell]) if (inner) visit(inner);
  };
  visit(model);
  return found;
}
