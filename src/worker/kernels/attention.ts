/** The contract of scaled dot-product attention (Vaswani et al. 2017), softmax(scale * Q K^T) V per sample and head. */

import type { Tensor3D, Tensor4D } from '@tensorflow/tfjs-core';

export interface AttentionInputs {
  /** [samples, queries, heads, size] */
  readonly query: Tensor4D;
  /** [samples, keys, heads, size] */
  readonly key: Tensor4D;
  /** [samples, keys, heads, value size] */
  readonly value: Tensor4D;
  /**
   * [samples, queries or 1, keys], float32: a query ignores a key with 0. The result of a query that ignores all keys is 0.
   */
  readonly mask: Tensor3D | undefined;
  /** [samples, heads, queries, keys]: factors of the probabilities. */
  readonly dropout: Tensor4D | undefined;
  readonly scale: number;
  /** True if query t ignores the keys after t. */
  readonly causal: boolean;
}

/** The gradients of the inputs of the same names, with their shapes. */
export interface AttentionGradients {
  readonly query: Tensor4D;
  readonly key: Tensor4D;
  readonly value: Tensor4D;
}

/** One attention on one shard; valid while its inputs live. */
export interface AttentionPass {
  /** [samples, queries, heads, value size] */
  readonly y: Tensor4D;
  gradients(dy: Tensor4D): AttentionGradients;
}
