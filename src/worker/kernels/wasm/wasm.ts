/**
 * Kernels on Lockstep's own WebAssembly module, over the heap of tfjs's WebAssembly backend. WebAssembly without relaxed SIMD is
 * specified to the bit and nothing here asks what the machine is, so these have the same bits everywhere.
 */

import type { Tensor, Tensor1D, Tensor2D, Tensor4D, TensorInfo } from '@tensorflow/tfjs';
import type { Tensorflow } from '../../engine/native.js';
import { composedDropout } from '../composed-dropout.js';
import type {
  AdamState,
  BatchMoments,
  BatchNormPass,
  BatchNormTail,
  ConvWindow,
  Kernels,
  PoolWindow,
} from '../kernels.js';
import { wasmAdam } from './adam.js';
import { batchNorm, columnSums, moments } from './batch-norm.js';
import { hashAt } from './hash.js';
import type { WasmModule } from './module.js';
import { maxPool, maxPoolGradient } from './pool.js';
import { convolve, filterGradient, inputGradient, multiply, type ConvGeometry } from './products.js';

export class WasmKernels implements Kernels {
  readonly name: string;
  readonly #tf: Tensorflow;
  readonly #module: WasmModule;

  constructor(tf: Tensorflow, module: WasmModule) {
    this.#tf = tf;
    this.#module = module;
    this.name = `own wasm ${module.hash}`;
  }

  operand<T extends Tensor>(x: T): T {
    return x;
  }

  conv2d(x: Tensor4D, filter: Tensor4D, window: ConvWindow): Tensor4D {
    return this.#tensor(convolve(this.#module, x, filter, geometry(x.shape, filter.shape, window)));
  }

  conv2dFilterGradient(
    x: Tensor4D,
    filterShape: readonly number[],
    dy: Tensor4D,
    window: ConvWindow,
  ): Tensor4D {
    return this.#tensor(filterGradient(this.#module, x, dy, geometry(x.shape, filterShape, window)));
  }

  conv2dInputGradient(
    xShape: readonly number[],
    filter: Tensor4D,
    dy: Tensor4D,
    window: ConvWindow,
  ): Tensor4D {
    return this.#tensor(inputGradient(this.#module, filter, dy, geometry(xShape, filter.shape, window)));
  }

  biasAdd(x: Tensor, bias: Tensor1D): Tensor {
    const { tensor, to } = this.#module.output(x.shape);
    const [from, add] = [this.#module.address(x), this.#module.address(bias)];
    this.#module.run.biasAdd(from, x.size / bias.size, bias.size, add, to);
    return tensor;
  }

  columnSums(x: Tensor): Tensor1D {
    return this.#tf.tensor1d(Float32Array.from(columnSums(this.#tf, this.#module, x)));
  }

  relu(x: Tensor): Tensor {
    const { tensor, to } = this.#module.output(x.shape);
    this.#module.run.relu(this.#module.address(x), x.size, to);
    return tensor;
  }

  reluGradient(dy: Tensor, y: Tensor): Tensor {
    const { tensor, to } = this.#module.output(dy.shape);
    this.#module.run.reluGradient(this.#module.address(dy), this.#module.address(y), y.size, to);
    return tensor;
  }

  maxPool(x: Tensor4D, window: PoolWindow): { y: Tensor4D; gradient: (dy: Tensor4D) => Tensor4D } {
    const [images, height, width, channels] = x.shape;
    const { size, strides, padding } = window;
    const down = axis(height, size[0], strides[0], 1, padding);
    const right = axis(width, size[1], strides[1], 1, padding);
    const pool = {
      images,
      height,
      width,
      channels,
      size,
      strides,
      outHeight: down.out,
      outWidth: right.out,
      top: down.before,
      left: right.before,
    };
    return {
      y: this.#tensor(maxPool(this.#module, x, pool)),
      gradient: (dy) => this.#tensor(maxPoolGradient(this.#module, x, dy, pool)),
    };
  }

  moments(x: Tensor): BatchMoments {
    return moments(this.#tf, this.#module, x);
  }

  batchNorm(x: Tensor, affine: Float32Array, tail: BatchNormTail): BatchNormPass {
    return batchNorm(this.#tf, this.#module, x, affine, tail);
  }

  matMul(a: Tensor2D, b: Tensor2D, transposeA: boolean, transposeB: boolean): Tensor2D {
    return this.#tensor(multiply(this.#module, a, b, transposeA, transposeB));
  }

  softmaxCrossEntropy(logits: Tensor2D, labels: Tensor1D): { losses: Tensor1D; gradient: Tensor2D } {
    const module = this.#module;
    const [rows, classes] = logits.shape;
    const { tensor: losses, to } = module.output<Tensor1D>([rows]);
    const { tensor: gradient, to: gradientTo } = module.output<Tensor2D>([rows, classes]);
    const [from, by] = [module.address(logits), module.address(labels)];
    module.run.softmaxCrossEntropy(from, by, rows, classes, to, gradientTo);
    return { losses, gradient };
  }

  philoxUniform(
    rows: number,
    columns: number,
    [low, high]: readonly [number, number],
    [c0, c2, c3]: readonly [number, number, number],
  ): Tensor2D {
    const { tensor, to } = this.#module.output<Tensor2D>([rows, columns]);
    this.#module.run.philoxUniform(low, high, c0, c2, c3, (rows * columns) / 4, to);
    return tensor;
  }

  dropout(...given: Parameters<Kernels['dropout']>): Tensor {
    return composedDropout(this.#tf, this, ...given);
  }

  denseGradient(x: Tensor2D, dy: Tensor2D): Tensor2D {
    return this.matMul(x, dy, true, false);
  }

  store(value: Tensor, target: Float32Array, hash?: Uint8Array): void {
    const at = this.#module.address(value);
    target.set(this.#module.floats(at, value.size));
    if (hash) hashAt(this.#module, at, value.size, hash);
  }

  adam(parameters: Float32Array, sizes: readonly number[], beta1: number, beta2: number): AdamState {
    return wasmAdam(this.#module, parameters, sizes, beta1, beta2);
  }

  #tensor<T extends Tensor>(info: TensorInfo): T {
    return this.#module.tensor<T>(info);
  }
}

/** Positions of a window along one axis, and how much padding lies before the first element, as TensorFlow has it. */
function axis(
  size: number,
  window: number,
  stride: number,
  dilation: number,
  padding: 'same' | 'valid',
): { out: number; before: number } {
  const reach = (window - 1) * dilation + 1;
  if (padding === 'valid') return { out: Math.floor((size - reach) / stride) + 1, before: 0 };
  const out = Math.ceil(size / stride);
  return { out, before: Math.floor(Math.max(0, (out - 1) * stride + reach - size) / 2) };
}

function geometry(
  xShape: readonly number[],
  filterShape: readonly number[],
  { strides, dilations, padding }: ConvWindow,
): ConvGeometry {
  const [images = 0, height = 0, width = 0, channels = 0] = xShape;
  const [kernelHeight = 0, kernelWidth = 0, , outChannels = 0] = filterShape;
  const down = axis(height, kernelHeight, strides[0], dilations[0], padding);
  const right = axis(width, kernelWidth, strides[1], dilations[1], padding);
  return {
    images,
    height,
    width,
    channels,
    kernelHeight,
    kernelWidth,
    outChannels,
    strides,
    dilations,
    outHeight: down.out,
    outWidth: right.out,
    top: down.before,
    left: right.before,
  };
}
