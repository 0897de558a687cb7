/** Kernels on native TensorFlow: raw ops, chosen by measurement (docs/performance.md). */

import type { Tensor, Tensor1D, Tensor2D, Tensor4D } from '@tensorflow/tfjs';
import type { Precision } from '../../shared/config/run-config.js';
import { elementCount } from '../../shared/model/layout.js';
import { hashFloats } from '../../shared/ledger/hash.js';
import type { NativeMemory } from '../../shared/memory/native-memory.js';
import { nativeHash } from '../engine/native-sources.js';
import type { Tensorflow } from '../engine/native.js';
import { composedBatchNorm } from './composed-batch-norm.js';
import { composedDropout } from './composed-dropout.js';
import type {
  AdamState,
  BatchMoments,
  BatchNormPass,
  BatchNormTail,
  Convolution,
  ConvWindow,
  GradientWriter,
  Kernels,
  PoolWindow,
} from './kernels.js';
import { OwnOps, takesChannels } from './own-ops.js';
import { Products } from './products.js';
import { RawOps, dtypes, type RawId } from './raw-ops.js';
import { tensorflowAdam } from './tensorflow-adam.js';

/** TensorFlow's number of the Philox generator (tensorflow::Algorithm). */
const philoxAlgorithm = 1;

export class TensorflowKernels implements Kernels {
  readonly #tf: Tensorflow;
  readonly #ops: RawOps;
  readonly #own: OwnOps | undefined;
  readonly #products: Products;
  readonly #precision: Precision;

  /**
   * `native` gives addresses to the ops that store and update in place; without it they are composed. Without `ownOps` all
   * are TensorFlow's: what the own ones are measured against.
   */
  constructor(tf: Tensorflow, native?: NativeMemory, precision: Precision = 'float32', ownOps = true) {
    this.#tf = tf;
    this.#ops = new RawOps(tf);
    this.#own = ownOps ? OwnOps.find(tf, this.#ops, native, precision) : undefined;
    this.#products = new Products(tf, this.#ops, precision);
    this.#precision = precision;
  }

  operand<T extends Tensor>(x: T, convolution?: Convolution): T {
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
    const shape = this.#tf.tensor1d([...filterShape], 'int32');
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
    const shape = this.#tf.tensor1d([...xShape], 'int32');
    return this.#ops.one('Conv2DBackpropInput', this.#conv(window), [shape, filter, dy]);
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

  /**
   * On CPU by MaxPoolWithArgmax and a segment sum over the winners, six times faster than MaxPoolGrad, which searches for
   * them again (0.9 ms against 5.2 for 32x28x28x32, one thread). On GPU MaxPoolGrad is cuDNN's.
   */
  maxPool(x: Tensor4D, window: PoolWindow): { y: Tensor4D; gradient: (dy: Tensor4D) => Tensor4D } {
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
      this.#tf.tidy(() => {
        const size = this.#tf.scalar(elementCount(shape), 'int32');
        const flat = ops.one<Tensor1D>(
          'UnsortedSegmentSum',
          [this.#float(), ops.type('Tindices', dtypes.int32), ops.type('Tnumsegments', dtypes.int32)],
          [this.#tf.reshape(dy, [-1]), this.#tf.reshape(winners, [-1]), size],
        );
        return this.#tf.reshape(flat, shape);
      });
    return { y, gradient };
  }

  moments(x: Tensor): BatchMoments {
    if (this.#own && takesChannels(x)) return this.#own.moments(x);
    const channels = x.shape.at(-1) ?? 0;
    const rows = x.size / channels;
    const none = this.#tf.tensor1d([]);
    const [, mean, unbiasedVariance] = this.#ops.many(
      'FusedBatchNormV3',
      this.#batchNorm(0, true),
      [this.#as4d(x), this.#tf.ones([channels]), this.#tf.zeros([channels]), none, none],
      6,
    ) as [Tensor, Tensor, Tensor];
    return {
      mean: Float64Array.from(mean.dataSync<'float32'>()),
      m2: Float64Array.from(unbiasedVariance.dataSync<'float32'>(), (variance) => variance * (rows - 1)),
    };
  }

  batchNorm(x: Tensor, affine: Float32Array, tail: BatchNormTail): BatchNormPass {
    if (this.#own && takesChannels(x)) return this.#own.batchNorm(x, affine, tail);
    return composedBatchNorm(this.#tf, this, x, affine, tail);
  }

  /** With variance 1 and epsilon 0 FusedBatchNormV3 is (x - mean) * scale + shift in one pass. */
  affine(x: Tensor, mean: Tensor1D, scale: Tensor1D, shift: Tensor1D): Tensor {
    return this.#tf.tidy(() => {
      const inputs = [this.#as4d(x), scale, shift, mean, this.#tf.onesLike(mean)];
      const [y] = this.#ops.many('FusedBatchNormV3', this.#batchNorm(0, false), inputs, 6) as [Tensor];
      return this.#tf.reshape(y, x.shape);
    });
  }

  matMul(a: Tensor2D, b: Tensor2D, transposeA: boolean, transposeB: boolean): Tensor2D {
    return this.#products.matMul(a, b, transposeA, transposeB);
  }

  softmaxCrossEntropy(logits: Tensor2D, labels: Tensor1D): { losses: Tensor1D; gradient: Tensor2D } {
    const [losses, gradient] = this.#ops.many(
      'SparseSoftmaxCrossEntropyWithLogits',
      [this.#float(), this.#ops.type('Tlabels', dtypes.int32)],
      [logits, labels],
      2,
    ) as [Tensor1D, Tensor2D];
    return { losses, gradient };
  }

  philoxUniform(
    rows: number,
    columns: number,
    key: readonly [number, number],
    counter: readonly [number, number, number],
  ): Tensor2D {
    const ops = this.#ops;
    return this.#tf.tidy(() => {
      const rawKey = this.#uint64([...key]);
      const rawCounter = this.#uint64([counter[0], 0, counter[1], counter[2]]);
      const algorithm = this.#tf.scalar(philoxAlgorithm, 'int32');
      const uniform = ops.tensor<Tensor2D>(
        'StatelessRandomUniformV2',
        [ops.type('dtype', dtypes.float32), ops.type('Tshape', dtypes.int32)],
        [this.#tf.tensor1d([rows, columns], 'int32'), rawKey, rawCounter, algorithm],
      );
      ops.delete(rawKey);
      ops.delete(rawCounter);
      return uniform;
    });
  }

  dropout(...given: Parameters<Kernels['dropout']>): Tensor {
    return this.#own?.dropout(...given) ?? composedDropout(this.#tf, this, ...given);
  }

  denseGradient(x: Tensor2D, dy: Tensor2D): Tensor2D | GradientWriter {
    const own = this.#own?.denseGradient(x, dy);
    if (own) return own;
    return this.#tf.tidy(() => this.matMul(this.operand(x), this.operand(dy), true, false));
  }

  get name(): string {
    if (!this.#own) return 'tensorflow';
    return this.#own.placesMemory ? `own ${nativeHash()}` : `own ${nativeHash()}, Adam of tensorflow`;
  }

  store(value: Tensor, target: Float32Array, hash?: Uint8Array): void {
    if (this.#own?.placesMemory) {
      this.#own.store(value, target, hash);
      return;
    }
    target.set(value.dataSync<'float32'>());
    if (hash) hashFloats(target, hash);
  }

  adam(parameters: Float32Array, sizes: readonly number[], beta1: number, beta2: number): AdamState {
    if (this.#own?.placesMemory) return this.#own.adam(parameters, sizes, beta1, beta2);
    return tensorflowAdam(this.#tf, this.#ops, parameters, sizes, beta1, beta2);
  }

  /** uint64 values from pairs of 32-bit words, low word first; tfjs can't make them, Bitcast can. */
  #uint64(wordPairs: number[]): RawId {
    const pairs = this.#tf.tensor2d(
      wordPairs.map((word) => word | 0),
      [wordPairs.length / 2, 2],
      'int32',
    );
    return this.#ops.raw(
      'Bitcast',
      [this.#ops.type('T', dtypes.int32), this.#ops.type('type', dtypes.uint64)],
      [pairs],
    );
  }

  #as4d(x: Tensor): Tensor4D {
    const channels = x.shape.at(-1) ?? 0;
    return x.rank === 4 ? (x as Tensor4D) : this.#tf.reshape(x, [x.size / channels, 1, 1, channels]);
  }

  #float = () => this.#ops.type('T', dtypes.float32);
  #nhwc = () => this.#ops.string('data_format', 'NHWC');

  /**
   * Float32 in every precision. TensorFlow's convolutions in bfloat16 are not deterministic: with few input channels,
   * oneDNN's kernels for AVX512_BF16 read memory that was never written.
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
