/** Dropout composed from an engine's ordinary functions, for kernels without a fused one. */

import type { Tensor } from '@tensorflow/tfjs-core';
import type { Tensorflow } from '../../api/tensorflow.js';
import type { Kernels } from './kernels.js';

/** Number of Philox blocks, of four numbers each, per row of `columns` values. Every row begins with a new block. */
export const blocksOf = (columns: number): number => Math.ceil(columns / 4);

/** See `Kernels.dropout` for the contract; `kernels` provides the random numbers. */
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
