/** Attention by Lockstep's TensorFlow ops (native/attention_ops.cc), on a CPU with AVX2 or AVX-512. */

import type { Tensor, Tensor4D } from '@tensorflow/tfjs-core';
import type { Tensorflow } from '../../api/tensorflow.js';
import type { AttentionInputs, AttentionPass } from './attention.js';
import type { RawOps } from './raw-ops.js';

export function ownAttention(tf: Tensorflow, ops: RawOps, inputs: AttentionInputs): AttentionPass {
  const { query, key, value, mask, dropout, scale, causal } = inputs;
  const attributes = [ops.int('causal', causal ? 1 : 0)];
  const none = tf.tensor1d([]);
  const given: Tensor[] = [query, key, value, mask ?? none, dropout ?? none, tf.tensor1d([scale])];
  return {
    y: ops.one<Tensor4D>('LockstepAttention', attributes, given),
    gradients: (dy) => {
      const gradients = ops.many('LockstepAttentionGradient', attributes, [...given, dy], 3);
      const [dQuery, dKey, dValue] = gradients as [Tensor4D, Tensor4D, Tensor4D];
      return { query: dQuery, key: dKey, value: dValue };
    },
  };
}
