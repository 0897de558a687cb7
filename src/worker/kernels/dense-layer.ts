/** The contract of a dense layer: a product of rows with a matrix, a bias and a ReLU, and the gradients. */

import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';

export interface DenseParameters {
  /** [inputs, outputs] */
  readonly matrix: Tensor2D;
  /** [outputs]; by default zeros. */
  readonly bias: Tensor1D | undefined;
  readonly activation: 'linear' | 'relu';
}

/** The gradients that a backward pass must compute besides `dz`. */
export interface DenseGradientsWanted {
  readonly input: boolean;
  readonly bias: boolean;
  /** A tensor of the shape of the input, to which the gradient of the input is added. */
  readonly addend?: Tensor | undefined;
}

export interface DenseGradients {
  /** [rows, outputs]: the gradient of the output before the activation, for `Kernels.denseGradient`. */
  readonly dz: Tensor2D;
  /** The gradient of the input plus the addend, with the input's shape. */
  readonly dx: Tensor | undefined;
  /** [outputs] */
  readonly dBias: Tensor1D | undefined;
}

/** One dense layer on one shard; valid while its input lives. */
export interface DensePass {
  /** activation(x * matrix + bias), [..., outputs] */
  readonly y: Tensor;
  gradients(dy: Tensor, wanted: DenseGradientsWanted): DenseGradients;
}
