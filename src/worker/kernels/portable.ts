/** Kernels from ordinary tfjs functions: any backend, no speed. What the JavaScript engine uses. */

import type { Tensor, Tensor1D, Tensor2D, Tensor4D } from '@tensorflow/tfjs';
import { philoxBlock, unitFloat } from '../../shared/random/philox.js';
import { updateAdam, copyOf } from './host-updates.js';
import { hashEach, hashFloats } from '../../shared/ledger/hash.js';
import { adamVectors, vectorOf } from '../../shared/model/named-vectors.js';
import type { Tensorflow } from '../engine/native.js';
import { composedBatchNorm } from './composed-batch-norm.js';
import { composedDropout } from './composed-dropout.js';
import type {
  AdamState,
  BatchMoments,
  BatchNormPass,
  BatchNormTail,
  ConvWindow,
  Kernels,
  PoolWindow,
} from './kernels.js';

type KernelRunner = { runKernel(name: string, inputs: object, attributes: object): Tensor };

export class PortableKernels implements Kernels {
  readonly name = 'portable';
  readonly #tf: Tensorflow;

  constructor(tf: Tensorflow) {
    this.#tf = tf;
  }

  operand<T extends Tensor>(x: T): T {
    return x;
  }

  conv2d(x: Tensor4D, filter: Tensor4D, { strides, padding, dilations }: ConvWindow): Tensor4D {
    return this.#tf.conv2d(x, filter, [...strides], padding, 'NHWC', [...dilations]);
  }

  conv2dFilterGradient(
    x: Tensor4D,
    filterShape: readonly number[],
    dy: Tensor4D,
    window: ConvWindow,
  ): Tensor4D {
    return this.#run(
      'Conv2DBackpropFilter',
      { x, dy },
      { ...conv(window), filterShape: [...filterShape] },
    ) as Tensor4D;
  }

  conv2dInputGradient(
    xShape: readonly number[],
    filter: Tensor4D,
    dy: Tensor4D,
    window: ConvWindow,
  ): Tensor4D {
    return this.#run(
      'Conv2DBackpropInput',
      { dy, filter },
      { ...conv(window), inputShape: [...xShape] },
    ) as Tensor4D;
  }

  biasAdd(x: Tensor, bias: Tensor1D): Tensor {
    return this.#tf.add(x, bias);
  }

  columnSums(x: Tensor): Tensor1D {
    return this.#tf.sum(this.#rows(x), 0);
  }

  relu(x: Tensor): Tensor {
    return this.#tf.relu(x);
  }

  reluGradient(dy: Tensor, y: Tensor): Tensor {
    return this.#tf.tidy(() => this.#tf.mul(dy, this.#tf.step(y)));
  }

  maxPool(
    x: Tensor4D,
    { size, strides, padding }: PoolWindow,
  ): { y: Tensor4D; gradient: (dy: Tensor4D) => Tensor4D } {
    const y = this.#tf.maxPool(x, [...size], [...strides], padding);
    const attributes = { filterSize: [...size], strides: [...strides], pad: padding };
    return {
      y,
      gradient: (dy) => this.#run('MaxPoolGrad', { dy, input: x, output: y }, attributes) as Tensor4D,
    };
  }

  moments(x: Tensor): BatchMoments {
    const rows = this.#rows(x);
    const mean = this.#tf.mean(rows, 0);
    const squares = this.#tf.tidy(() => this.#tf.sum(this.#tf.squaredDifference(rows, mean), 0));
    return {
      mean: Float64Array.from(mean.dataSync<'float32'>()),
      m2: Float64Array.from(squares.dataSync<'float32'>()),
    };
  }

  affine(x: Tensor, mean: Tensor1D, scale: Tensor1D, shift: Tensor1D): Tensor {
    const tf = this.#tf;
    return tf.tidy(() => tf.add(tf.mul(tf.sub(x, mean), scale), shift));
  }

  batchNorm(x: Tensor, affine: Float32Array, tail: BatchNormTail): BatchNormPass {
    return composedBatchNorm(this.#tf, this, x, affine, tail);
  }

  matMul(a: Tensor2D, b: Tensor2D, transposeA: boolean, transposeB: boolean): Tensor2D {
    return this.#tf.matMul(a, b, transposeA, transposeB);
  }

  softmaxCrossEntropy(logits: Tensor2D, labels: Tensor1D): { losses: Tensor1D; gradient: Tensor2D } {
    const tf = this.#tf;
    const logProbabilities = tf.logSoftmax(logits);
    const target = tf.oneHot(labels, logits.shape[1]);
    return {
      losses: tf.neg(tf.sum(tf.mul(target, logProbabilities), 1)),
      gradient: tf.sub(tf.exp(logProbabilities), target),
    };
  }

  philoxUniform(
    rows: number,
    columns: number,
    [low, high]: readonly [number, number],
    [c0, c2, c3]: readonly [number, number, number],
  ): Tensor2D {
    const words = new Uint32Array(4);
    const values = new Float32Array(rows * columns);
    for (let block = 0; block < values.length / 4; block++) {
      philoxBlock({ low, high }, (c0 + block) >>> 0, 0, c2 >>> 0, c3 >>> 0, words);
      for (let i = 0; i < 4; i++) values[block * 4 + i] = unitFloat(words[i] ?? 0);
    }
    return this.#tf.tensor2d(values, [rows, columns]);
  }

  dropout(...given: Parameters<Kernels['dropout']>): Tensor {
    return composedDropout(this.#tf, this, ...given);
  }

  denseGradient(x: Tensor2D, dy: Tensor2D): Tensor2D {
    return this.matMul(x, dy, true, false);
  }

  /** In JavaScript: the arrays are at hand, and the JavaScript engine's tensors are arrays anyway. */
  store(value: Tensor, target: Float32Array, hash?: Uint8Array): void {
    target.set(value.dataSync<'float32'>());
    if (hash) hashFloats(target, hash);
  }

  adam(initial: Float32Array, sizes: readonly number[], beta1: number, beta2: number): AdamState {
    const weights = Float32Array.from(initial);
    const first = new Float32Array(initial.length);
    const second = new Float32Array(initial.length);
    const vectors = [weights, first, second];
    return {
      apply: (gradient, { stepSize, correction, epsilon }, hashes) => {
        const plain = { coupledDecay: 0, decoupledDecay: 0 };
        const coefficients = { beta1, beta2, stepSize, correction, epsilon, ...plain };
        updateAdam(weights, first, second, gradient, [0, weights.length], coefficients);
        let offset = 0;
        const parts = sizes.map((size) => weights.slice(offset, (offset += size)));
        if (hashes) hashEach(parts, hashes);
        return parts.map((part) => this.#tf.tensor1d(part));
      },
      read: (into) =>
        new Map(adamVectors.map((name, i) => [name, copyOf(vectors[i] as Float32Array, into?.get(name))])),
      write: (state) => adamVectors.forEach((name, i) => vectors[i]?.set(vectorOf(state, name))),
      dispose: () => undefined,
    };
  }

  #rows(x: Tensor): Tensor2D {
    const channels = x.shape.at(-1) ?? 1;
    return this.#tf.reshape(x, [x.size / channels, channels]);
  }

  /** A tfjs kernel that has no public function of its own. */
  #run(name: string, inputs: object, attributes: object): Tensor {
    return (this.#tf.engine() as unknown as KernelRunner).runKernel(name, inputs, attributes);
  }
}

function conv({ strides, padding, dilations }: ConvWindow): object {
  return {
    strides: [...strides],
    pad: padding,
    dataFormat: 'NHWC',
    dilations: [...dilations],
    dimRoundingMode: undefined,
  };
}
