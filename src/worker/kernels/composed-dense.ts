/** A dense layer composed from the engine's kernels, in the run's precision. */

import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import type { Tensorflow } from '../../api/tensorflow.js';
import type { DenseParameters, DensePass } from './dense-layer.js';
import type { Kernels } from './kernels.js';

export function composedDense(
  tf: Tensorflow,
  kernels: Pick<Kernels, 'operand' | 'matMul' | 'biasAdd' | 'relu' | 'reluGradient' | 'columnSums'>,
  x: Tensor,
  { matrix, bias, activation }: DenseParameters,
): DensePass {
  const [inputs, outputs] = matrix.shape;
  const rows = rowsOf(tf, x, inputs);
  const input = kernels.operand(rows);
  const weights = kernels.operand(matrix);
  const product = kernels.matMul(input, weights, false, false);
  if (input !== rows) input.dispose();
  const sum = bias ? kernels.biasAdd(product, bias) : product;
  const y = activation === 'relu' ? kernels.relu(sum) : sum;
  return {
    y: restored(tf, y, x.shape, outputs),
    gradients: (dy, wanted) => {
      const given = rowsOf(tf, dy, outputs);
      const dz = (activation === 'relu' ? kernels.reluGradient(given, y) : given) as Tensor2D;
      const dBias = wanted.bias ? kernels.columnSums(dz) : undefined;
      if (!wanted.input) return { dz, dx: undefined, dBias };
      const factor = kernels.operand(dz);
      const dx = restored(tf, kernels.matMul(factor, weights, false, true), x.shape, inputs);
      if (factor !== dz) tf.dispose([factor, weights]);
      return { dz, dx: wanted.addend ? tf.add(wanted.addend, dx) : dx, dBias };
    },
  };
}

/** Returns [rows, columns]: `x` itself if it has this shape already. */
function rowsOf(tf: Tensorflow, x: Tensor, columns: number): Tensor2D {
  return x.rank === 2 ? (x as Tensor2D) : tf.reshape(x, [x.size / columns, columns]);
}

function restored(tf: Tensorflow, rows: Tensor, like: readonly number[], columns: number): Tensor {
  return like.length === 2 ? rows : tf.reshape(rows, [...like.slice(0, -1), columns]);
}
