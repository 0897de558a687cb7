/** Builds a model from the JSON of its topology, with weights that are still to be set. */

import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { Tensorflow } from '../../api/tensorflow.js';

/** Name of the only tensor of a load by `buildTopology`. */
const marker = 'lockstep/no-weights';

/** The classes of models whose `loadWeights` accepts the marker. */
const prepared = new WeakSet<object>();

/**
 * Builds the model as tf.loadLayersModel does: initializers are replaced by zeros, so they take no time and draw no random numbers.
 * Unlike tf.loadLayersModel, which finds weights by names that several of them may have, it sets no weights.
 * @throws Error, of tfjs, for a topology that it cannot build
 */
export async function buildTopology(tf: Tensorflow, modelTopology: object): Promise<LayersModel> {
  prepare(tf.LayersModel.prototype);
  return tf.loadLayersModel({
    load: () =>
      Promise.resolve({
        modelTopology,
        weightSpecs: [{ name: marker, shape: [0], dtype: 'float32' }],
        weightData: new ArrayBuffer(0),
      }),
  });
}

/** tfjs replaces the initializers only if it sets weights afterwards. For the marker, nothing is set. */
function prepare(prototype: LayersModel): void {
  if (prepared.has(prototype)) return;
  prepared.add(prototype);

  const original = prototype.loadWeights;
  prototype.loadWeights = function (this: LayersModel, weights, strict): void {
    if (!(marker in weights)) original.call(this, weights, strict);
  };
}
