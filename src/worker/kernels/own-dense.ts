/** Dense layers by Lockstep's TensorFlow ops (native/dense_ops.cc), in float32 on a CPU with AVX2 or AVX-512. */

import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import type { Tensorflow } from '../../api/tensorflow.js';
import type { DenseParameters, DensePass } from './dense-layer.js';
import type { Kernels } from './kernels.js';
import type { RawOps } from './raw-ops.js';

/**
 * The largest matrix, in floats, that the ops take. Larger ones do not stay in a core's second-level cache, for which TensorFlow's
 * products are blocked.
 */
const largest = 2 ** 17;

/** Returns undefined for a matrix that is too large, or without elements. The choice does not depend on the number of rows. */
export function ownDense(
  tf: Tensorflow,
  ops: RawOps,
  parts: Pick<Kernels, 'columnSums' | 'reluGradient'>,
  x: Tensor,
  { matrix, bias, activation }: DenseParameters,
): DensePass | undefined {
  if (matrix.size > largest || matrix.size === 0) return undefined;
  const outputs = matrix.shape[1];
  const none = tf.tensor1d([]);
  const relu = activation === 'relu';
  const y = ops.one('LockstepDense', [ops.int('relu', relu ? 1 : 0)], [x, matrix, bias ?? none]);
  const rowsOf = (values: Tensor): Tensor2D =>
    values.rank === 2 ? (values as Tensor2D) : tf.reshape(values, [values.size / outputs, outputs]);
  return {
    y,
    gradients: (dy, { input, bias: wantsBias, addend }) => {
      if (relu && input && !addend) {
        const [dz, dx, dBias] = ops.many('LockstepDenseReluGradient', [], [dy, y, matrix], 3) as [
          Tensor,
          Tensor,
          Tensor1D,
        ];
        return { dz: rowsOf(dz), dx, dBias: wantsBias ? dBias : undefined };
      }
      const dz = relu ? parts.reluGradient(dy, y) : dy;
      const dx = input ? ops.one('LockstepDenseInputGradient', [], [dz, matrix, addend ?? none]) : undefined;
      return { dz: rowsOf(dz), dx, dBias: wantsBias ? parts.columnSums(dz) : undefined };
    },
  };
}
