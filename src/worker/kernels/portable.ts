/** Kernels from ordinary tfjs functions, which run on any backend but slowly. The JavaScript engine uses them. */

import type { Tensor, Tensor1D, Tensor2D, Tensor4D } from '@tensorflow/tfjs-core';
import { philoxBlock, unitFloat } from '../../shared/random/philox.js';
import { BaseKernels } from './base-kernels.js';
import { spreadFilter, spreadShape, withoutZeros } from './dilated-filter.js';
import { hostAdam } from './host-adam.js';
import type {
  AdamState,
  BatchMoments,
  ConvWindow,
  CrossEntropy,
  MaxPool,
  PhiloxCounter,
  PhiloxKey,
  PoolWindow,
} from './kernels.js';

type KernelRunner = { runKernel(name: string, inputs: object, attributes: object): Tensor };

/** See `Kernels` for the contract of each method. */
export class PortableKernels extends BaseKernels {
  readonly name: string = 'portable';

  conv2d(x: Tensor4D, filter: Tensor4D, { strides, padding, dilations }: ConvWindow): Tensor4D {
    return this.tf.conv2d(x, filter, [...strides], padding, 'NHWC', [...dilations]);
  }

  conv2dFilterGradient(
    x: Tensor4D,
    filterShape: readonly number[],
    dy: Tensor4D,
    window: ConvWindow,
  ): Tensor4D {
    const { tf } = this;
    const attributes = convAttributes(window, { filterShape: spreadShape(filterShape, window.dilations) });
    return tf.tidy(() =>
      withoutZeros(tf, this.#run<Tensor4D>('Conv2DBackpropFilter', { x, dy }, attributes), window.dilations),
    );
  }

  conv2dInputGradient(
    xShape: readonly number[],
    filter: Tensor4D,
    dy: Tensor4D,
    window: ConvWindow,
  ): Tensor4D {
    const attributes = convAttributes(window, { inputShape: [...xShape] });
    const { tf } = this;
    return tf.tidy(() => {
      const spread = spreadFilter(tf, filter, window.dilations);
      return this.#run<Tensor4D>('Conv2DBackpropInput', { dy, filter: spread }, attributes);
    });
  }

  biasAdd(x: Tensor, bias: Tensor1D): Tensor {
    return this.tf.add(x, bias);
  }

  columnSums(x: Tensor): Tensor1D {
    return this.tf.sum(this.#rows(x), 0);
  }

  relu(x: Tensor): Tensor {
    return this.tf.relu(x);
  }

  reluGradient(dy: Tensor, y: Tensor): Tensor {
    return this.tf.tidy(() => this.tf.mul(dy, this.tf.step(y)));
  }

  maxPool(x: Tensor4D, { size, strides, padding }: PoolWindow): MaxPool {
    const y = this.tf.maxPool(x, [...size], [...strides], padding);
    const attributes = { filterSize: [...size], strides: [...strides], pad: padding };
    return {
      y,
      gradient: (dy) => this.#run<Tensor4D>('MaxPoolGrad', { dy, input: x, output: y }, attributes),
    };
  }

  moments(x: Tensor): BatchMoments {
    const rows = this.#rows(x);
    const mean = this.tf.mean(rows, 0);
    const squares = this.tf.tidy(() => this.tf.sum(this.tf.squaredDifference(rows, mean), 0));
    return {
      mean: Float64Array.from(mean.dataSync<'float32'>()),
      m2: Float64Array.from(squares.dataSync<'float32'>()),
    };
  }

  matMul(a: Tensor2D, b: Tensor2D, transposeA: boolean, transposeB: boolean): Tensor2D {
    return this.tf.matMul(a, b, transposeA, transposeB);
  }

  softmaxCrossEntropy(logits: Tensor2D, labels: Tensor1D): CrossEntropy {
    const { tf } = this;
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
    [low, high]: PhiloxKey,
    [c0, c2, c3]: PhiloxCounter,
  ): Tensor2D {
    const words = new Uint32Array(4);
    const values = new Float32Array(rows * columns);
    for (let block = 0; block < values.length / 4; block++) {
      philoxBlock({ low, high }, (c0 + block) >>> 0, 0, c2 >>> 0, c3 >>> 0, words);
      for (let i = 0; i < 4; i++) values[block * 4 + i] = unitFloat(words[i] ?? 0);
    }
    return this.tf.tensor2d(values, [rows, columns]);
  }

  adam(parameters: Float32Array, sizes: readonly number[], beta1: number, beta2: number): AdamState {
    return hostAdam(this.tf, parameters, sizes, beta1, beta2);
  }

  /** Reshapes `x` to [rows, channels]. */
  #rows(x: Tensor): Tensor2D {
    const channels = x.shape.at(-1) ?? 1;
    return this.tf.reshape(x, [x.size / channels, channels]);
  }

  /** Runs a tfjs kernel that has no public function. */
  #run<T extends Tensor>(name: string, inputs: object, attributes: object): T {
    return (this.tf.engine() as unknown as KernelRunner).runKernel(name, inputs, attributes) as T;
  }
}

/** The attributes of a gradient of a convolution, whose filter is already spread. */
function convAttributes({ strides, padding }: ConvWindow, shape: object): object {
  return {
    ...shape,
    strides: [...strides],
    pad: padding,
    dataFormat: 'NHWC',
    dilations: [1, 1],
    dimRoundingMode: undefined,
  };
}
