/**
 * Kernels on native TensorFlow. They use Lockstep's own ops if the engine has them and the shapes allow it, and TensorFlow's raw
 * ops otherwise. The choices are measured in docs/performance.md.
 */

import type { Tensor, Tensor1D, Tensor2D, Tensor4D } from '@tensorflow/tfjs-core';
import type { PinnedVector } from '../../shared/memory/pinned-vector.js';
import type { Precision } from '../../shared/config/run-config.js';
import { elementCount } from '../../shared/model/layout.js';
import type { NativeMemory } from '../../shared/memory/native-memory.js';
import { nativeHash } from '../engine/native-sources.js';
import type { Tensorflow } from '../../api/tensorflow.js';
import { BaseKernels } from './base-kernels.js';
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
import { OwnOps, takesChannels } from './own-ops.js';
import { ownRecurrence } from './own-recurrence.js';
import { Products } from './products.js';
import { RawOps, dtypes } from './raw-ops.js';
import { TensorflowAdam } from './tensorflow-adam.js';
import { tensorflowPhilox } from './tensorflow-philox.js';

/** See `Kernels` for the contract of each method. */
export class TensorflowKernels extends BaseKernels {
  readonly #ops: RawOps;
  readonly #own: OwnOps | undefined;
  readonly #products: Products;
  readonly #precision: Precision;
  readonly #recurrence: Kernels['recurrence'];

  /**
   * `native` provides the addresses for the own ops that store and update in place; without it `store`
   * copies through JavaScript and Adam is TensorFlow's op. Without `ownOps` all ops are TensorFlow's, which is the reference for
   * measurements of the own ones.
   */
  constructor(tf: Tensorflow, native?: NativeMemory, precision: Precision = 'float32', ownOps = true) {
    super(tf);
    this.#ops = new RawOps(tf);
    this.#own = ownOps ? OwnOps.find(tf, this.#ops, native, precision) : undefined;
    this.#products = new Products(tf, this.#ops, precision);
    this.#precision = precision;
    this.#recurrence = this.#own?.multiplies === true ? ownRecurrence(tf, this.#ops, this) : undefined;
  }

  override operand<T extends Tensor>(x: T, convolution?: Convolution): T {
    if (this.#precision === 'float32') return x;
    if (convolution === undefined) return this.#products.operand(x);
    return this.#own?.takesConvolution(convolution) ? x : this.#products.rounded(x);
  }

  conv2d(x: Tensor4D, filter: Tensor4D, window: ConvWindow): Tensor4D {
    const filterShape = filter.shape;
    if (this.#own?.takesConvolution({ filterShape, window })) return this.#own.conv(x, filter);
    return this.#ops.one('Conv2D', this.#conv(window), [x, filter]);
  }

  conv2dFilterGradient(
    x: Tensor4D,
    filterShape: readonly number[],
    dy: Tensor4D,
    window: ConvWindow,
  ): Tensor4D {
    if (this.#own?.takesConvolution({ filterShape, window })) return this.#own.convFilterGradient(x, dy);
    const shape = this.tf.tensor1d([...filterShape], 'int32');
    return this.#ops.one('Conv2DBackpropFilter', this.#conv(window), [x, shape, dy]);
  }

  conv2dInputGradient(
    xShape: readonly number[],
    filter: Tensor4D,
    dy: Tensor4D,
    window: ConvWindow,
  ): Tensor4D {
    const filterShape = filter.shape;
    if (this.#own?.takesConvolution({ filterShape, window })) return this.#own.convInputGradient(dy, filter);
    const shape = this.tf.tensor1d([...xShape], 'int32');
    return this.#ops.one('Conv2DBackpropInput', this.#conv(window), [shape, filter, dy]);
  }

  override depthwise(convolution: Convolution): DepthwiseConvolution | undefined {
    return this.#own?.depthwise(convolution);
  }

  biasAdd(x: Tensor, bias: Tensor1D): Tensor {
    return this.#ops.one('BiasAdd', [this.#float(), this.#nhwc()], [x, bias]);
  }

  columnSums(x: Tensor): Tensor1D {
    return this.#ops.one('BiasAddGrad', [this.#float(), this.#nhwc()], [x]);
  }

  relu(x: Tensor): Tensor {
    return this.#ops.one('Relu', [this.#float()], [x]);
  }

  reluGradient(dy: Tensor, y: Tensor): Tensor {
    return this.#ops.one('ReluGrad', [this.#float()], [dy, y]);
  }

  override relu6(x: Tensor): Tensor {
    return this.#ops.one('Relu6', [this.#float()], [x]);
  }

  override relu6Gradient(dy: Tensor, y: Tensor): Tensor {
    return this.#ops.one('Relu6Grad', [this.#float()], [dy, y]);
  }

  /**
   * The CPU uses MaxPoolWithArgmax and a segment sum over the winners, which is six times faster than MaxPoolGrad because that op
   * searches for the winners again (0.9 ms and 5.2 ms for 32x28x28x32 with one thread). On a GPU MaxPoolGrad is cuDNN's.
   */
  maxPool(x: Tensor4D, window: PoolWindow): MaxPool {
    const ops = this.#ops;
    const pool = [
      this.#float(),
      ops.int('ksize', [1, ...window.size, 1]),
      ops.int('strides', [1, ...window.strides, 1]),
      ops.string('padding', window.padding.toUpperCase()),
    ];
    if (ops.onGpu) {
      const attributes = [...pool, this.#nhwc()];
      const y = ops.one<Tensor4D>('MaxPool', attributes, [x]);
      return { y, gradient: (dy) => ops.one('MaxPoolGrad', attributes, [x, y, dy]) };
    }
    const [y, winners] = ops.many(
      'MaxPoolWithArgmax',
      [...pool, ops.type('Targmax', dtypes.int32), ops.bool('include_batch_in_index', true)],
      [x],
      2,
    ) as [Tensor4D, Tensor4D];
    const shape = x.shape;
    const gradient = (dy: Tensor4D): Tensor4D =>
      this.tf.tidy(() => {
        const size = this.tf.scalar(elementCount(shape), 'int32');
        const flat = ops.one<Tensor1D>(
          'UnsortedSegmentSum',
          [this.#float(), ops.type('Tindices', dtypes.int32), ops.type('Tnumsegments', dtypes.int32)],
          [this.tf.reshape(dy, [-1]), this.tf.reshape(winners, [-1]), size],
        );
        return this.tf.reshape(flat, shape);
      });
    return { y, gradient };
  }

  moments(x: Tensor): BatchMoments {
    if (this.#own && takesChannels(x)) return this.#own.moments(x);
    const channels = x.shape.at(-1) ?? 0;
    const rows = x.size / channels;
    const none = this.tf.tensor1d([]);
    const [, mean, unbiasedVariance] = this.#ops.many(
      'FusedBatchNormV3',
      this.#batchNorm(0, true),
      [this.#as4d(x), this.tf.ones([channels]), this.tf.zeros([channels]), none, none],
      6,
    ) as [Tensor, Tensor, Tensor];
    return {
      mean: Float64Array.from(mean.dataSync<'float32'>()),
      m2: Float64Array.from(unbiasedVariance.dataSync<'float32'>(), (variance) => variance * (rows - 1)),
    };
  }

  override batchNorm(x: Tensor, affine: Float32Array, tail: BatchNormTail): BatchNormPass {
    if (this.#own && takesChannels(x)) return this.#own.batchNorm(x, affine, tail);
    return super.batchNorm(x, affine, tail);
  }

  /** In bfloat16 the product rounds its factors and its result, which only the composition does. */
  override dense(...given: Parameters<Kernels['dense']>): ReturnType<Kernels['dense']> {
    const own = this.#precision === 'float32' ? this.#own?.dense(this, ...given) : undefined;
    return own ?? super.dense(...given);
  }

  override layerNorm(...given: Parameters<Kernels['layerNorm']>): ReturnType<Kernels['layerNorm']> {
    return this.#own?.layerNorm(...given) ?? super.layerNorm(...given);
  }

  override attention(...given: Parameters<Kernels['attention']>): ReturnType<Kernels['attention']> {
    return this.#own?.attention(...given) ?? super.attention(...given);
  }

  /** Uses FusedBatchNormV3 with variance 1 and epsilon 0, which computes the expression in one pass. */
  override affine(x: Tensor, mean: Tensor1D, scale: Tensor1D, shift: Tensor1D): Tensor {
    return this.tf.tidy(() => {
      const inputs = [this.#as4d(x), scale, shift, mean, this.tf.onesLike(mean)];
      const [y] = this.#ops.many('FusedBatchNormV3', this.#batchNorm(0, false), inputs, 6) as [Tensor];
      return this.tf.reshape(y, x.shape);
    });
  }

  matMul(a: Tensor2D, b: Tensor2D, transposeA: boolean, transposeB: boolean): Tensor2D {
    return this.#products.matMul(a, b, transposeA, transposeB);
  }

  softmaxCrossEntropy(logits: Tensor2D, labels: Tensor1D): CrossEntropy {
    const [losses, gradient] = this.#ops.many(
      'SparseSoftmaxCrossEntropyWithLogits',
      [this.#float(), this.#ops.type('Tlabels', dtypes.int32)],
      [logits, labels],
      2,
    ) as [Tensor1D, Tensor2D];
    return { losses, gradient };
  }

  philoxUniform(rows: number, columns: number, key: PhiloxKey, counter: PhiloxCounter): Tensor2D {
    return tensorflowPhilox(this.tf, this.#ops, [rows, columns], key, counter);
  }

  override dropout(x: Tensor, rate: number, key: PhiloxKey, counter: PhiloxCounter): Tensor {
    return this.#own?.dropout(x, rate, key, counter) ?? super.dropout(x, rate, key, counter);
  }

  override get recurrence(): Kernels['recurrence'] {
    return this.#recurrence;
  }

  override embeddingGradient(ids: Tensor1D, dy: Tensor2D, rows: number): Tensor2D | GradientWriter {
    return this.#own?.embeddingGradient(ids, dy) ?? super.embeddingGradient(ids, dy, rows);
  }

  override denseGradient(x: Tensor2D, dy: Tensor2D): Tensor2D | GradientWriter {
    return this.#own?.denseGradient(x, dy) ?? super.denseGradient(x, dy);
  }

  get name(): string {
    if (!this.#own) return 'tensorflow';
    return this.#own.hasPinnedBuffers ? `own ${nativeHash()}` : `own ${nativeHash()}, Adam of tensorflow`;
  }

  override store(value: Tensor, target: PinnedVector, hash?: Uint8Array): void {
    if (this.#own?.hasPinnedBuffers) this.#own.store(value, target, hash);
    else super.store(value, target, hash);
  }

  adam(
    parameters: Float32Array,
    sizes: readonly number[],
    beta1: number,
    beta2: number,
    onVector?: () => void,
  ): AdamState {
    if (this.#own?.hasPinnedBuffers) return this.#own.adam(parameters, sizes, beta1, beta2, onVector);
    return new TensorflowAdam(this.tf, this.#ops, parameters, sizes, [beta1, beta2]);
  }

  /** Reshapes `x` of any rank to four axes, as FusedBatchNormV3 requires; a tensor of rank 4 is returned itself. */
  #as4d(x: Tensor): Tensor4D {
    const channels = x.shape.at(-1) ?? 0;
    return x.rank === 4 ? (x as Tensor4D) : this.tf.reshape(x, [x.size / channels, 1, 1, channels]);
  }

  #float = () => this.#ops.type('T', dtypes.float32);
  #nhwc = () => this.#ops.string('data_format', 'NHWC');

  /**
   * Returns the attributes of a convolution, which computes in float32 in every precision. TensorFlow's convolutions in bfloat16
   * are not deterministic: with few input channels, oneDNN's kernels for AVX512_BF16 read memory that was never written.
   */
  #conv = ({ strides, padding, dilations }: ConvWindow) => [
    this.#float(),
    this.#ops.int('strides', [1, ...strides, 1]),
    this.#ops.string('padding', padding.toUpperCase()),
    this.#nhwc(),
    this.#ops.bool('use_cudnn_on_gpu', true),
    this.#ops.int('dilations', [1, ...dilations, 1]),
  ];

  #batchNorm = (epsilon: number, training: boolean) => [
    this.#float(),
    this.#ops.type('U', dtypes.float32),
    this.#ops.float('epsilon', epsilon),
    this.#ops.float('exponential_avg_factor', 1),
    this.#nhwc(),
    this.#ops.bool('is_training', training),
  ];
}
