/** The contract of layer normalization over the last axis. */

import type { Tensor, Tensor1D } from '@tensorflow/tfjs-core';

export interface LayerNormParameters {
  /** [columns]; by default ones. */
  readonly gamma: Tensor1D | undefined;
  /** [columns]; by default zeros. */
  readonly beta: Tensor1D | undefined;
  readonly epsilon: number;
}

export interface LayerNormGradients {
  /** The gradient of the input, with its shape. */
  readonly dx: Tensor;
  /** [columns], also if the layer has no gamma or beta. */
  readonly dGamma: Tensor1D;
  readonly dBeta: Tensor1D;
}

/** One layer normalization on one shard; valid while its input lives. */
export interface LayerNormPass {
  /** (x - mean) / sqrt(variance + epsilon) * gamma + beta with the mean and the biased variance of each row. */
  readonly y: Tensor;
  gradients(dy: Tensor): LayerNormGradients;
}
