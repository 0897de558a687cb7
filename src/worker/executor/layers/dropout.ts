/**
 * Dropout with masks that depend on (seed, step, layer, position of the sample in the global batch) and on nothing else, so
 * a sample keeps its mask whichever worker computes it. Kept with probability 1 - rate and scaled by 1 / (1 - rate).
 */

import type { Tensor } from '@tensorflow/tfjs';
import { ModelError } from '../../../shared/errors.js';
import { philoxKey } from '../../../shared/random/philox.js';
import { fieldsOf, shardwise, type LayerImplementation } from '../layer-op.js';

export const dropout: LayerImplementation = (layer, { tf, kernels, seed, node }) => {
  const { rate, noiseShape } = fieldsOf<{ rate: number; noiseShape: unknown }>(layer);
  if (noiseShape !== null && noiseShape !== undefined) {
    throw new ModelError(
      `Layer "${layer.name}" (${layer.getClassName()}): a noiseShape is not supported, since its mask would be shared ` +
        'between samples of different shards. Use Dropout without noiseShape.',
    );
  }
  const { low, high } = philoxKey(seed, 'dropout');

  return shardwise((x, shard, { training, step }) => {
    if (!training || rate === 0) return [x.clone(), (dy) => dy.clone()];
    const mask = tf.tidy((): Tensor => {
      const columns = x.size / shard.count;
      // A block of the generator is four numbers: each sample starts at a block of its own.
      const padded = Math.ceil(columns / 4) * 4;
      const first = (shard.start * padded) / 4;
      const uniform = kernels.philoxUniform(shard.count, padded, [low, high], [first, step, node.index]);
      const exact = padded === columns ? uniform : tf.slice(uniform, [0, 0], [shard.count, columns]);
      const kept = tf.cast(tf.greaterEqual(exact, rate), 'float32');
      return tf.reshape(tf.mul(kept, 1 / (1 - rate)), x.shape);
    });
    return [tf.mul(x, mask), (dy) => tf.mul(dy, mask)];
  });
};
