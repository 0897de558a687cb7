/**
 * The kernels that can be composed from other kernels and from ordinary tfjs functions. An implementation extends this class,
 * adds the primitive kernels and overrides a composed one if its engine has a faster equivalent. No default computes in a
 * precision of its own: each follows `operand` and `matMul` of the implementation.
 */

import type { Tensor, Tensor1D, Tensor2D, Tensor4D } from '@tensorflow/tfjs-core';
import type { PinnedVector } from '../../shared/memory/pinned-vector.js';
import { hashFloats } from '../../shared/ledger/hash.js';
import type { Tensorflow } from '../../api/tensorflow.js';
import type { AttentionInputs, AttentionPass } from './attention.js';
import { composedAttention } from './composed-attention.js';
import { composedBatchNorm, type BatchNormParts } from './composed-batch-norm.js';
import { composedDense } from './composed-dense.js';
import { composedDropout } from './composed-dropout.js';
import type {
  AdamState,
  BatchMoments,
  BatchNormPass,
  BatchNormTail,
  Convolution,
  ConvWindow,
  CrossEntropy,
  DepthwiseConvolution,
  GradientWriter,
  Kernels,
  MaxPool,
  PhiloxCounter,
  PhiloxKey,
  PoolWindow,
} from './kernels.js';
import type { DenseParameters, DensePass } from './dense-layer.js';
import { composedLayerNorm } from './composed-layer-norm.js';
import type { LayerNormParameters, LayerNormPass } from './layer-norm.js';
import type { RunRecurrence } from './recurrence.js';

/** See `Kernels` for the contract of each method. */
export abstract class BaseKernels implements Kernels, BatchNormParts {
  abstract readonly name: string;
  protected readonly tf: Tensorflow;

  constructor(tf: Tensorflow) {
    this.tf = tf;
  }

  abstract conv2d(x: Tensor4D, filter: Tensor4D, window: ConvWindow): Tensor4D;
  abstract conv2dFilterGradient(
    x: Tensor4D,
    filterShape: readonly number[],
    dy: Tensor4D,
    window: ConvWindow,
  ): Tensor4D;
  abstract conv2dInputGradient(
    xShape: readonly number[],
    filter: Tensor4D,
    dy: Tensor4D,
    window: ConvWindow,
  ): Tensor4D;
  abstract biasAdd(x: Tensor, bias: Tensor1D): Tensor;
  abstract columnSums(x: Tensor): Tensor1D;
  abstract relu(x: Tensor): Tensor;
  abstract reluGradient(dy: Tensor, y: Tensor): Tensor;
  abstract maxPool(x: Tensor4D, window: PoolWindow): MaxPool;
  abstract moments(x: Tensor): BatchMoments;
  abstract matMul(a: Tensor2D, b: Tensor2D, transposeA: boolean, transposeB: boolean): Tensor2D;
  abstract softmaxCrossEntropy(logits: Tensor2D, labels: Tensor1D): CrossEntropy;
  abstract philoxUniform(rows: number, columns: number, key: PhiloxKey, counter: PhiloxCounter): Tensor2D;
  abstract adam(
    parameters: Float32Array,
    sizes: readonly number[],
    beta1: number,
    beta2: number,
    onVector?: () => void,
  ): AdamState;

  get recurrence(): RunRecurrence | undefined {
    return undefined;
  }

  /** Returns `x`: by default an engine computes in float32 only. */
  operand<T extends Tensor>(x: T): T {
    return x;
  }

  /**
   * Returns (x - mean) * scale + shift over the last axis, of the shape of `x`; `mean`, `scale` and `shift` have one value per
   * channel. The result belongs to the caller. Only `batchNorm` uses it.
   */
  affine(x: Tensor, mean: Tensor1D, scale: Tensor1D, shift: Tensor1D): Tensor {
    const { tf } = this;
    return tf.tidy(() => tf.add(tf.mul(tf.sub(x, mean), scale), shift));
  }

  batchNorm(x: Tensor, affine: Float32Array, tail: BatchNormTail): BatchNormPass {
    return composedBatchNorm(this.tf, this, x, affine, tail);
  }

  depthwise(convolution: Convolution): DepthwiseConvolution | undefined;
  depthwise(): DepthwiseConvolution | undefined {
    return undefined;
  }

  readonly fusesRelu6: boolean = true;

  relu6(x: Tensor): Tensor {
    return this.tf.clipByValue(x, 0, 6);
  }

  relu6Gradient(dy: Tensor, y: Tensor): Tensor {
    const { tf } = this;
    return tf.tidy(() => tf.mul(dy, tf.cast(tf.logicalAnd(tf.greater(y, 0), tf.less(y, 6)), 'float32')));
  }

  dense(x: Tensor, parameters: DenseParameters): DensePass {
    return composedDense(this.tf, this, x, parameters);
  }

  layerNorm(x: Tensor, parameters: LayerNormParameters): LayerNormPass {
    return composedLayerNorm(this.tf, this, x, parameters);
  }

  attention(inputs: AttentionInputs): AttentionPass {
    return composedAttention(this.tf, inputs);
  }

  dropout(x: Tensor, rate: number, key: PhiloxKey, counter: PhiloxCounter): Tensor {
    return composedDropout(this.tf, this, x, rate, key, counter);
  }

  denseGradient(x: Tensor2D, dy: Tensor2D): Tensor2D | GradientWriter {
    return this.tf.tidy(() => this.matMul(this.operand(x), this.operand(dy), true, false));
  }

  embeddingGradient(ids: Tensor1D, dy: Tensor2D, rows: number): Tensor2D | GradientWriter {
    return this.tf.unsortedSegmentSum(dy, ids, rows);
  }

  /** Copies through JavaScript: `dataSync` returns the values and the hash is computed from `target`. */
  store(value: Tensor, target: PinnedVector, hash?: Uint8Array): void {
    target.set(value.dataSync<'float32'>());
    if (hash) hashFloats(target, hash);
  }

  completeStores(): void {
    // `store` has copied the values.
  }

  discardStores(): void {
    // No store is pending.
  }
}
