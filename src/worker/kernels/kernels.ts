/**
 * The arithmetic that the executor and the optimizer ask of an engine. Two implementations: `tensorflow.ts` (raw
 * TensorFlow ops, as few passes over memory as they allow) and `portable.ts` (ordinary tfjs functions, any backend).
 *
 * Tensors are channels-last. A kernel never disposes an argument; what it returns belongs to the caller, in the
 * current tfjs scope, which must be a tidy. All are deterministic for given shapes and thread count.
 */

import type { Tensor, Tensor1D, Tensor2D, Tensor4D } from '@tensorflow/tfjs';
import type { NamedVectors } from '../../shared/model/named-vectors.js';

export interface Window2d {
  readonly strides: readonly [number, number];
  readonly padding: 'same' | 'valid';
}
export interface ConvWindow extends Window2d {
  readonly dilations: readonly [number, number];
}
/** A convolution, as far as it can be known before it runs. */
export interface Convolution {
  /** [height, width, inputs, outputs] */
  readonly filterShape: readonly number[];
  readonly window: ConvWindow;
}
export interface PoolWindow extends Window2d {
  readonly size: readonly [number, number];
}

/** Of each channel of one shard, in float64. */
export interface BatchMoments {
  readonly mean: Float64Array;
  /** Sum of squared deviations from the mean. */
  readonly m2: Float64Array;
}

/** What follows a BatchNorm and is computed together with it. */
export interface BatchNormTail {
  readonly relu: boolean;
  /** 2x2 max-pool with stride 2, after the ReLU; height and width are even. */
  readonly pool: boolean;
}

/** One BatchNorm on one shard; valid while its input lives. */
export interface BatchNormPass {
  readonly y: Tensor;
  /** Of each channel: sums of dz and of dz * (x - mean), where dz is dy brought back through the tail. */
  sums(dy: Tensor): { dz: Float64Array; dzCentred: Float64Array };
  /** a * dz + b * (x - mean) + c, with coefficients [a, b, c], each one value a channel. */
  inputGradient(dy: Tensor, coefficients: Float32Array): Tensor;
}

export interface AdamStep {
  /** lr / (1 - beta1^t), computed in float64 like the next one. */
  readonly stepSize: number;
  /** sqrt(1 - beta2^t) */
  readonly correction: number;
  /** Outside the bias-corrected root, as PyTorch has it. */
  readonly epsilon: number;
}

/** Adam's state over one flat vector of all trainable parameters. */
export interface AdamState {
  /**
   * Applies one update; `gradient` is averaged over the global batch and stays where it is from step to step.
   * Returns the parameters after it, one vector each; the caller disposes them. With `hashes`, the ledger's hash of each
   * goes there, 8 bytes a parameter; it stays where it is as well.
   */
  apply(gradient: Float32Array, step: AdamStep, hashes?: Uint8Array): Tensor1D[];
  /**
   * Copies `weights`, `adam.first` and `adam.second`: into the vectors of `into`, which must be the same ones at every call, or
   * into new vectors.
   */
  read(into?: NamedVectors): NamedVectors;
  /** Replaces all three by copies of the vectors of `state`. */
  write(state: NamedVectors): void;
  dispose(): void;
}

/** Writes a gradient to `target`, which has as many elements and is the same at every step. Called once, inside the tidy. */
export type GradientWriter = (target: Float32Array) => void;

export interface Kernels {
  /** Names the implementation: others may round differently. */
  readonly name: string;
  /**
   * Prepares a factor of a convolution or matrix product below for the run's precision. In float32 the result is `x` itself.
   * In bfloat16:
   * - For a matrix product (no `convolution`) it is a copy rounded to bfloat16, which only `matMul` may read: its dtype may be
   *   bfloat16. The product is rounded to bfloat16 once more and returned as float32.
   * - For a convolution it is a float32 tensor whose values are rounded to bfloat16. The convolution itself computes in
   *   float32 and its result is not rounded.
   * - For a convolution that rounds its factors itself, after its transform, it is `x`.
   *
   * All roundings are to nearest, ties to even. A result other than `x` is a copy that belongs to the caller: dispose it
   * after its last use, or leave it to the enclosing tidy. Dispose it only if it is not `x`.
   */
  operand<T extends Tensor>(x: T, convolution?: Convolution): T;
  conv2d(x: Tensor4D, filter: Tensor4D, window: ConvWindow): Tensor4D;
  conv2dFilterGradient(
    x: Tensor4D,
    filterShape: readonly number[],
    dy: Tensor4D,
    window: ConvWindow,
  ): Tensor4D;
  conv2dInputGradient(
    xShape: readonly number[],
    filter: Tensor4D,
    dy: Tensor4D,
    window: ConvWindow,
  ): Tensor4D;
  /** x + bias over the last axis. */
  biasAdd(x: Tensor, bias: Tensor1D): Tensor;
  /** Sum over all axes but the last. */
  columnSums(x: Tensor): Tensor1D;
  relu(x: Tensor): Tensor;
  /** dy where y > 0, else 0. */
  reluGradient(dy: Tensor, y: Tensor): Tensor;
  /** On ties the gradient goes to the first maximum in row-major order, as in PyTorch. */
  maxPool(x: Tensor4D, window: PoolWindow): { y: Tensor4D; gradient: (dy: Tensor4D) => Tensor4D };
  /** Over all axes but the last. */
  moments(x: Tensor): BatchMoments;
  /**
   * tail((x - mean) * scale + shift) over the last axis, with `affine` = [mean, scale, shift], each one value a channel.
   * Without `training` only `y` may be used.
   */
  batchNorm(x: Tensor, affine: Float32Array, tail: BatchNormTail, training: boolean): BatchNormPass;
  matMul(a: Tensor2D, b: Tensor2D, transposeA: boolean, transposeB: boolean): Tensor2D;
  /** Cross-entropy of each row and its gradient by the logits (of the plain sum over rows). */
  softmaxCrossEntropy(logits: Tensor2D, labels: Tensor1D): { losses: Tensor1D; gradient: Tensor2D };
  /**
   * [rows, columns] of float32 in [0, 1) from Philox4x32-10 under `key`; columns % 4 == 0. Row r column c comes from block
   * counter[0] + (r * columns + c) / 4; counter words 2 and 3 are taken as they are.
   */
  philoxUniform(
    rows: number,
    columns: number,
    key: readonly [number, number],
    counter: readonly [number, number, number],
  ): Tensor2D;
  /**
   * x [rows, ...] scaled by 1 / (1 - rate) where its number is at least `rate`, else 0. The numbers of a row are those of
   * `philoxUniform` with the columns rounded up to a multiple of 4. Of dy it is the gradient.
   */
  dropout(
    x: Tensor,
    rate: number,
    key: readonly [number, number],
    counter: readonly [number, number, number],
  ): Tensor;
  /**
   * x' dy, the gradient of a dense layer's matrix: for x [rows, inputs] and dy [rows, outputs], neither an operand of the run's
   * precision. A tensor, or what writes it to where it is needed.
   */
  denseGradient(x: Tensor2D, dy: Tensor2D): Tensor2D | GradientWriter;
  /**
   * Copies the values of a float32 tensor; `target` has as many elements and stays where it is, as does `hash`, which takes
   * the ledger's hash of them.
   */
  store(value: Tensor, target: Float32Array, hash?: Uint8Array): void;
  /** `sizes` are those of the parameters that the flat vector consists of. */
  adam(parameters: Float32Array, sizes: readonly number[], beta1: number, beta2: number): AdamState;
}
