/**
 * Layers that don't train (`trainable: false`), as in fine-tuning. tfjs keeps the flag on the layer and on each of its weights, and
 * the two differ for a layer that was told so before it was built, or whose model was. Everything here asks the weights.
 */

import type { LayersModel } from '@tensorflow/tfjs';
import { fieldsOf, type Layer } from '../executor/layer.js';

interface Container {
  readonly layers?: readonly Layer[];
}

/** Marks the weights of each layer that doesn't train, or lies in a model that doesn't, as what they are. */
export function markFrozenWeights(model: LayersModel): void {
  mark(model, false);
}

function mark(layer: Layer, frozen: boolean): void {
  const off = frozen || !layer.trainable;
  const { layers } = fieldsOf<Container>(layer);
  if (layers) for (const inner of layers) mark(inner, off);
  // The setter passes it on to the weights.
  else if (off) layer.trainable = false;
}
