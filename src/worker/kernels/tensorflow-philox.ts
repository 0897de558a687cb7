/** Random numbers of the Philox generator from TensorFlow's StatelessRandomUniformV2. */

import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { Tensorflow } from '../../api/tensorflow.js';
import type { PhiloxCounter, PhiloxKey } from './kernels.js';
import { dtypes, type RawId, type RawOps } from './raw-ops.js';

/** The number of the Philox generator in TensorFlow (tensorflow::Algorithm). */
const philoxAlgorithm = 1;

/** See `Kernels.philoxUniform`. */
export function tensorflowPhilox(
  tf: Tensorflow,
  ops: RawOps,
  [rows, columns]: readonly [number, number],
  key: PhiloxKey,
  [c0, c2, c3]: PhiloxCounter,
): Tensor2D {
  return tf.tidy(() => {
    const rawKey = uint64(tf, ops, [...key]);
    const rawCounter = uint64(tf, ops, [c0, 0, c2, c3]);
    const algorithm = tf.scalar(philoxAlgorithm, 'int32');
    const uniform = ops.tensor<Tensor2D>(
      'StatelessRandomUniformV2',
      [ops.type('dtype', dtypes.float32), ops.type('Tshape', dtypes.int32)],
      [tf.tensor1d([rows, columns], 'int32'), rawKey, rawCounter, algorithm],
    );
    ops.delete(rawKey);
    ops.delete(rawCounter);
    return uniform;
  });
}

/** Returns uint64 values from pairs of 32-bit words, low word first, by Bitcast, because tfjs has no tensors of that dtype. */
function uint64(tf: Tensorflow, ops: RawOps, words: readonly number[]): RawId {
  const pairs = tf.tensor2d(
    words.map((word) => word | 0),
    [words.length / 2, 2],
    'int32',
  );
  return ops.raw('Bitcast', [ops.type('T', dtypes.int32), ops.type('type', dtypes.uint64)], [pairs]);
}
