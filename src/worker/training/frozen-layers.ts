/**
 * Layers that are not trainable (`trainable: false`), as in fine-tuning. tfjs keeps one flag on the layer and one on each of its weights.
 * The flags differ if the flag of the layer, or the flag of a model that contains the layer, was set before the layer was built. Lockstep
 * reads only the flags of the weights.
 */

import type { LayersModel } from '@tensorflow/tfjs-layers';
import { fieldsOf, type Layer } from '../executor/layer.js';

interface Container {
  readonly layers?: readonly Layer[];
}

/** Sets `trainable` to false on the weights of each layer that is not trainable, or that lies in a model that is not trainable. */
export function markFrozenWeights(model: LayersModel): void {
  markLayer(model, false);
}

function markLayer(layer: Layer, parentFrozen: boolean): void {
  const frozen = parentFrozen || !layer.trainable;
  const { layers } = fieldsOf<Container>(layer);
  if (layers) for (const inner of layers) markLayer(inner, frozen);
  // The setter also sets the flag of the weights.
  else if (frozen) layer.trainable = false;
}
