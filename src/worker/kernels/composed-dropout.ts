/** Dropout from an engine's ordinary functions, for kernels that have none of their own. */

import type { Tensor } from '@tensorflow/tfjs';
import type { Tensorflow } from '../engine/native.js';
import type { Kernels } from './kernels.js';

/** Blocks of the generator, four numbers each, that a sample of so many values takes: each begins at one of its own. */
export const blocksOf = (columns: number): number => Math.ceil(columns / 4);

/** See `Kernels.dropout`. */
export function composedDropout(
  tf: Tensorflow,
  kernels: Pick<Kernels, 'philoxUniform'>,
  ...[x, rate, key, counter]: Parameters<Kernels['dropout']>
): Tensor {
  return tf.tidy(() => {
    const [rows = 0] = x.shape;
    const columns = x.size / rows;
    const padded = blocksOf(columns) * 4;
    const uniform = kernels.philoxUniform(rows, padded, key, counter);
    const exact = padded === columns ? uniform : tf.slice(uniform, [0, 0], [rows, columns]);
    const kept = tf.cast(tf.greaterEqual(exact, rate), 'float32');
    return tf.mul(x, tf.reshape(tf.mul(kept, 1 / (1 - rate)), x.shape));
  });
}
