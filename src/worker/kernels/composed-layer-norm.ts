/** Layer normalization composed from tfjs functions, for engines without an op for it. */

import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import type { Tensorflow } from '../../api/tensorflow.js';
import type { Kernels } from './kernels.js';
import type { LayerNormParameters, LayerNormPass } from './layer-norm.js';

export function composedLayerNorm(
  tf: Tensorflow,
  kernels: Pick<Kernels, 'columnSums'>,
  x: Tensor,
  { gamma, beta, epsilon }: LayerNormParameters,
): LayerNormPass {
  const columns = x.shape.at(-1) ?? 1;
  const rowsOf = (values: Tensor): Tensor2D => tf.reshape(values, [values.size / columns, columns]);
  const rows = rowsOf(x);
  const centred = tf.sub(rows, tf.mean(rows, 1, true));
  const inverseDeviation = tf.rsqrt(tf.add(tf.mean(tf.square(centred), 1, true), epsilon));
  const normalized = tf.mul(centred, inverseDeviation);
  const scaled = gamma ? tf.mul(normalized, gamma) : normalized;
  const y = beta ? tf.add(scaled, beta) : scaled;
  return {
    y: tf.reshape(y, x.shape),
    gradients: (dy) => {
      const gradient = rowsOf(dy);
      const g = gamma ? tf.mul(gradient, gamma) : gradient;
      const along = tf.mul(normalized, tf.mean(tf.mul(g, normalized), 1, true));
      const dx = tf.mul(tf.sub(tf.sub(g, tf.mean(g, 1, true)), along), inverseDeviation);
      return {
        dx: tf.reshape(dx, x.shape),
        dGamma: kernels.columnSums(tf.mul(gradient, normalized)),
        dBeta: kernels.columnSums(gradient),
      };
    },
  };
}
