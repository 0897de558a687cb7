/**
 * BatchNorm and its tail composed from separate kernels, for engines without Lockstep's own ops and for shapes that those do not
 * support. It makes more passes over memory than a fused kernel.
 */

import type { Tensor, Tensor1D, Tensor4D } from '@tensorflow/tfjs-core';
import type { Tensorflow } from '../../api/tensorflow.js';
import type { BatchNormPass, BatchNormTail, Kernels } from './kernels.js';

/** The kernels that BatchNorm is composed from. */
export interface BatchNormParts extends Pick<
  Kernels,
  'relu' | 'reluGradient' | 'relu6' | 'relu6Gradient' | 'maxPool' | 'columnSums'
> {
  /** Returns (x - mean) * scale + shift over the last axis. */
  affine(x: Tensor, mean: Tensor1D, scale: Tensor1D, shift: Tensor1D): Tensor;
}

const window = { size: [2, 2], strides: [2, 2], padding: 'valid' } as const;

/** See `Kernels.batchNorm` for the contract. */
export function composedBatchNorm(
  tf: Tensorflow,
  parts: BatchNormParts,
  x: Tensor,
  affine: Float32Array,
  tail: BatchNormTail,
): BatchNormPass {
  const [mean, scale, shift] = rows(tf, affine);
  const z = parts.affine(x, mean, scale, shift);
  const { activate, gradient: activationGradient } = activations(parts)[tail.activation];
  const activated = activate(z);
  const pooled = tail.pool ? parts.maxPool(activated as Tensor4D, window) : undefined;
  let held: Tensor | undefined;
  /** Returns dy propagated back through the tail, which is computed once. */
  const dz = (dy: Tensor): Tensor => {
    if (held) return held;
    const unpooled = pooled ? pooled.gradient(dy as Tensor4D) : dy;
    return (held = activationGradient(unpooled, activated));
  };
  return {
    y: pooled?.y ?? activated,
    sums: (dy) => {
      const gradient = dz(dy);
      // Centred before it is multiplied: sum(dz * x) - mean * sum(dz) would cancel.
      const centred = tf.tidy(() => parts.columnSums(tf.mul(gradient, tf.sub(x, mean))));
      return { dz: values(parts.columnSums(gradient)), dzCentred: values(centred) };
    },
    inputGradient: (dy, coefficients) => {
      const gradient = dz(dy);
      return tf.tidy(() => {
        const [a, b, c] = rows(tf, coefficients);
        return tf.add(tf.mul(gradient, a), parts.affine(x, mean, b, c));
      });
    },
  };
}

interface ActivationPair {
  readonly activate: (z: Tensor) => Tensor;
  /** Propagates dy back; `y` is the result of `activate`. */
  readonly gradient: (dy: Tensor, y: Tensor) => Tensor;
}

const activations = (parts: BatchNormParts): Record<BatchNormTail['activation'], ActivationPair> => ({
  linear: { activate: (z) => z, gradient: (dy) => dy },
  relu: { activate: (z) => parts.relu(z), gradient: (dy, y) => parts.reluGradient(dy, y) },
  relu6: { activate: (z) => parts.relu6(z), gradient: (dy, y) => parts.relu6Gradient(dy, y) },
});

/** Splits three concatenated rows of equal length. */
function rows(tf: Tensorflow, values: Float32Array): [Tensor1D, Tensor1D, Tensor1D] {
  const channels = values.length / 3;
  const row = (i: number): Tensor1D => tf.tensor1d(values.slice(i * channels, (i + 1) * channels));
  return [row(0), row(1), row(2)];
}

function values(sums: Tensor1D): Float64Array {
  return Float64Array.from(sums.dataSync<'float32'>());
}
