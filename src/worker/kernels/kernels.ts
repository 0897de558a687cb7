/**
 * The arithmetic that the executor and the optimizer require of an engine. There are four implementations: `tensorflow.ts` (raw
 * TensorFlow ops with few passes over memory), `wasm/wasm.ts` (Lockstep's WebAssembly module), `webgpu/webgpu.ts` (shaders) and
 * `portable.ts` (ordinary tfjs functions on any backend). `base-kernels.ts` has the kernels that can be composed from others.
 *
 * Tensors are channels-last and of dtype float32 unless stated otherwise. A kernel never disposes an argument. A returned tensor
 * belongs to the caller, in the current tfjs scope, which must be a tidy. Every kernel is deterministic for given shapes and a
 * given thread count.
 */

import type { Tensor, Tensor1D, Tensor2D, Tensor4D } from '@tensorflow/tfjs-core';
import type { PinnedVector } from '../../shared/memory/pinned-vector.js';
import type { Range } from '../../shared/sharding/identifiers.js';
import type { NamedVectors, ParameterVector, PinnedVectors } from '../../shared/model/named-vectors.js';
import type { AttentionInputs, AttentionPass } from './attention.js';
import type { DenseParameters, DensePass } from './dense-layer.js';
import type { LayerNormParameters, LayerNormPass } from './layer-norm.js';
import type { RunRecurrence } from './recurrence.js';

export interface Window2d {
  readonly strides: readonly [number, number];
  readonly padding: 'same' | 'valid';
}
export interface ConvWindow extends Window2d {
  readonly dilations: readonly [number, number];
}
/** The properties of a convolution that are known before it runs. */
export interface Convolution {
  /** [kernelHeight, kernelWidth, inputChannels, outputChannels] */
  readonly filterShape: readonly number[];
  readonly window: ConvWindow;
}
export interface PoolWindow extends Window2d {
  readonly size: readonly [number, number];
}

/** A depthwise convolution of [images, height, width, channels] with a filter [kernelHeight, kernelWidth, channels, 1]. */
export interface DepthwiseConvolution {
  forward(x: Tensor4D, filter: Tensor4D): Tensor4D;
  inputGradient(xShape: readonly number[], filter: Tensor4D, dy: Tensor4D): Tensor4D;
  filterGradient(x: Tensor4D, dy: Tensor4D): Tensor4D;
}

/** The result of `Kernels.maxPool`. */
export interface MaxPool {
  /** [images, outHeight, outWidth, channels] */
  readonly y: Tensor4D;
  /** Returns the gradient with respect to the pool's input; `dy` has the shape of `y`. Valid while the input and `y` live. */
  gradient(dy: Tensor4D): Tensor4D;
}

/** The result of `Kernels.softmaxCrossEntropy`. */
export interface CrossEntropy {
  /** [rows], in nats */
  readonly losses: Tensor1D;
  /** [rows, classes]: the gradient of the sum of `losses` with respect to the logits. */
  readonly gradient: Tensor2D;
}

/** The two 32-bit words of a Philox key, low word first. */
export type PhiloxKey = readonly [number, number];
/** Words 0, 2 and 3 of a Philox counter, 32 bits each; word 1 is 0. */
export type PhiloxCounter = readonly [number, number, number];

/** Moments per channel of one shard, in float64. An engine may read those of several shards together when one is first used. */
export interface BatchMoments {
  readonly mean: Float64Array;
  /** Sum of squared deviations from the mean. */
  readonly m2: Float64Array;
}

/** The layers after a BatchNorm that are computed together with it. */
export interface BatchNormTail {
  readonly activation: 'linear' | 'relu' | 'relu6';
  /** A 2x2 max-pool with stride 2, after the activation; height and width must be even. */
  readonly pool: boolean;
}

/**
 * One BatchNorm on one shard; valid while its input `x` lives. `dz` is the gradient with respect to the BatchNorm's own output,
 * which is `dy` propagated back through the tail.
 */
export interface BatchNormPass {
  /** The tail's output: the shape of `x`, with half the height and width after a pool. */
  readonly y: Tensor;
  /**
   * Returns the sums of dz and of dz * (x - mean) over all axes but the last, one value per channel. An engine may read those of
   * several shards together when one is first used.
   */
  sums(dy: Tensor): { readonly dz: Float64Array; readonly dzCentred: Float64Array };
  /**
   * Returns a * dz + b * (x - mean) + c, of the shape of `x`. `coefficients` is [a, b, c], each with one value per channel.
   * `dy` must be the tensor given to `sums`.
   */
  inputGradient(dy: Tensor, coefficients: Float32Array): Tensor;
}

export interface AdamStep {
  /** lr / (1 - beta1^t), computed in float64. */
  readonly stepSize: number;
  /** sqrt(1 - beta2^t), computed in float64. */
  readonly correction: number;
  /** Added to the bias-corrected root, as in PyTorch. */
  readonly epsilon: number;
}

/** Adam's state over one flat vector of all trainable parameters. */
export interface AdamState {
  /**
   * Applies one update and returns the updated parameters, one vector per parameter, which the caller disposes. `gradient` is
   * averaged over the global batch, in the order of the flat vector. With `hashes`, the ledger's hash of each updated parameter
   * is written there, 8 bytes per parameter. `gradient` and `hashes` must be the same buffers at every call.
   */
  apply(gradient: PinnedVector, step: AdamStep, hashes?: Uint8Array): Tensor1D[];
  /**
   * Copies `weights`, `adam.first` and `adam.second` into the vectors of `into`, which must be the same ones at every call, or
   * into new vectors.
   * @param only copies this vector alone
   */
  read(into?: PinnedVectors, only?: ParameterVector): NamedVectors;
  /**
   * Replaces all three by copies of the vectors of `state`.
   * @throws InvariantError if `state` lacks one of them
   */
  write(state: NamedVectors): void;
  /** Frees the state. No other method may be called afterwards. */
  dispose(): void;
}

/** The targets of one parameter's gradients, whose sum along the fixed tree over the shards (sharding/tree.ts) follows. */
export interface ShardTargets {
  /** One per shard of this worker; the same array for all shards of a parameter. */
  readonly targets: readonly PinnedVector[];
  /** The maximal subtrees of these shards, as ranges of `targets`. */
  readonly subtrees: readonly Range[];
}

/**
 * Writes a gradient to `target`, which has as many elements as the gradient and is the same buffer at every step. Must be called
 * once, inside the tidy in which the writer was made.
 */
export type GradientWriter = (target: PinnedVector) => void;

export interface Kernels {
  /** Identifies the implementation; implementations with different names may round differently. */
  readonly name: string;
  /**
   * Prepares a factor of a convolution or matrix product for the run's precision. In float32 the result is `x` itself.
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
  /**
   * Convolves `x` [images, height, width, inputChannels] with `filter`
   * [kernelHeight, kernelWidth, inputChannels, outputChannels]. Returns [images, outHeight, outWidth, outputChannels].
   */
  conv2d(x: Tensor4D, filter: Tensor4D, window: ConvWindow): Tensor4D;
  /** Returns the gradient of a convolution with respect to its filter, of shape `filterShape`; `dy` has the shape of its result. */
  conv2dFilterGradient(
    x: Tensor4D,
    filterShape: readonly number[],
    dy: Tensor4D,
    window: ConvWindow,
  ): Tensor4D;
  /** Returns the gradient of a convolution with respect to its input, of shape `xShape`; `dy` has the shape of its result. */
  conv2dInputGradient(
    xShape: readonly number[],
    filter: Tensor4D,
    dy: Tensor4D,
    window: ConvWindow,
  ): Tensor4D;
  /** Returns undefined if the engine has no kernels for the depthwise convolution. */
  depthwise(convolution: Convolution): DepthwiseConvolution | undefined;
  /** Returns x + bias; `bias` [channels] is added along the last axis. */
  biasAdd(x: Tensor, bias: Tensor1D): Tensor;
  /** Returns the sums over all axes but the last, [channels]. */
  columnSums(x: Tensor): Tensor1D;
  relu(x: Tensor): Tensor;
  /** Returns dy if y > 0 and 0 otherwise, per element; `y` is the result of `relu`. */
  reluGradient(dy: Tensor, y: Tensor): Tensor;
  /** Returns x clipped to [0, 6], and dy where 0 < y < 6 and 0 elsewhere; `y` is the result of `relu6`. */
  relu6(x: Tensor): Tensor;
  relu6Gradient(dy: Tensor, y: Tensor): Tensor;
  /** False if `batchNorm` is slow with a ReLU6 in its tail. */
  readonly fusesRelu6: boolean;
  /**
   * Takes the maximum over each window of `x` [images, height, width, channels]. On ties the gradient goes to the first maximum
   * in row-major order, as in PyTorch.
   */
  maxPool(x: Tensor4D, window: PoolWindow): MaxPool;
  /** Returns the moments over all axes but the last. */
  moments(x: Tensor): BatchMoments;
  /**
   * Computes tail((x - mean) * scale + shift) over the last axis. `affine` is [mean, scale, shift], each with one value per
   * channel. Must run inside a tidy, which also frees what the backward pass needs. Without `training` only `y` may be used.
   */
  batchNorm(x: Tensor, affine: Float32Array, tail: BatchNormTail, training: boolean): BatchNormPass;
  /**
   * Computes a dense layer on `x` [..., inputs] in the run's precision. Must run inside a tidy, which also frees what the backward
   * pass needs.
   */
  dense(x: Tensor, parameters: DenseParameters): DensePass;
  /** Normalizes each row of `x` [..., columns]. Must run inside a tidy, which also frees what the backward pass needs. */
  layerNorm(x: Tensor, parameters: LayerNormParameters): LayerNormPass;
  /** Must run inside a tidy, which also frees what the backward pass needs. */
  attention(inputs: AttentionInputs): AttentionPass;
  /** Returns the matrix product of `a` and `b`, each transposed first if its flag is set. */
  matMul(a: Tensor2D, b: Tensor2D, transposeA: boolean, transposeB: boolean): Tensor2D;
  /**
   * Returns the cross-entropy of each row's softmax and its gradient; `logits` is [rows, classes], `labels` is [rows] of dtype
   * int32 with values in [0, classes).
   */
  softmaxCrossEntropy(logits: Tensor2D, labels: Tensor1D): CrossEntropy;
  /**
   * Returns [rows, columns] of random numbers in [0, 1) from Philox4x32-10 under `key`; `columns` must be a multiple of 4. The
   * number of row r and column c comes from the block whose counter word 0 is counter[0] + floor((r * columns + c) / 4).
   */
  philoxUniform(rows: number, columns: number, key: PhiloxKey, counter: PhiloxCounter): Tensor2D;
  /**
   * Returns `x` [rows, ...] scaled by 1 / (1 - rate); elements whose random number is less than `rate` become 0. The random
   * numbers of a row are those of `philoxUniform` with the columns rounded up to a multiple of 4. Applied to dy, it returns the
   * gradient.
   */
  dropout(x: Tensor, rate: number, key: PhiloxKey, counter: PhiloxCounter): Tensor;
  /** Runs a recurrent layer over all of its time steps; undefined if the engine has no op for it. */
  readonly recurrence: RunRecurrence | undefined;
  /**
   * Computes the gradient of a dense layer's matrix, the transpose of `x` times `dy`, [inputs, outputs]. `x` is [rows, inputs],
   * `dy` is [rows, outputs], and neither is a result of `operand`. Returns the gradient, or a function that writes it.
   */
  denseGradient(x: Tensor2D, dy: Tensor2D): Tensor2D | GradientWriter;
  /**
   * Computes the gradient of an embedding's table, [rows, columns]: row r is the sum of the rows of `dy` whose id is r, in order.
   * `ids` is int32 [n] with values in [0, rows), `dy` is [n, columns]. Returns the gradient, or a function that writes it.
   */
  embeddingGradient(ids: Tensor1D, dy: Tensor2D, rows: number): Tensor2D | GradientWriter;
  /**
   * Copies the values of a float32 tensor to `target`, which has as many elements. With `hash`, the ledger's hash of the values is
   * written there, 8 bytes. `target` and `hash` must be the same buffers at every step. Both may be written as late as in
   * `completeStores`. With `shards`, of which `target` is one, the engine may write the sum of the vectors of a subtree to the target of
   * its first shard, and -0 to its other targets.
   */
  store(value: Tensor, target: PinnedVector, hash?: Uint8Array, shards?: ShardTargets): void;
  /** Completes all stores. An engine may read their values together. */
  completeStores(): void;
  /** Forgets the stores that are not complete: their targets are not written. */
  discardStores(): void;
  /**
   * Creates Adam's state from a copy of `parameters`, with both moments 0. `sizes` are the element counts of the parameters that
   * the flat vector consists of, in order. `onVector` is called after each large vector that native memory is filled for.
   */
  adam(
    parameters: Float32Array,
    sizes: readonly number[],
    beta1: number,
    beta2: number,
    onVector?: () => void,
  ): AdamState;
}
