/** Attention by Lockstep's TensorFlow ops (native/attention_ops.cc), on a CPU with AVX2 or AVX-512. */

import type { Tensor, Tensor1D, Tensor4D } from '@tensorflow/tfjs-core';
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
      const all = ops.one<Tensor1D>('LockstepAttentionGradient', attributes, [...given, dy]);
      const part = (like: Tensor4D, from: number): Tensor4D =>
        tf.reshape(tf.slice(all, from, like.size), like.shape);
      return {
        query: part(query, 0),
        key: part(key, query.size),
        value: part(value, query.size + key.size),
      };
    },
  };
}
