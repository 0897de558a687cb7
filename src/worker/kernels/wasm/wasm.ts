/**
 * Kernels on Lockstep's WebAssembly module, over the heap of tfjs's WebAssembly backend. The results are bit-for-bit identical on
 * every machine: WebAssembly without relaxed SIMD is fully specified, and no kernel depends on the processor.
 */

import type { Tensor, Tensor1D, Tensor2D, Tensor4D, TensorInfo } from '@tensorflow/tfjs-core';
import type { Tensorflow } from '../../../api/tensorflow.js';
import { BaseKernels } from '../base-kernels.js';
import type {
  AdamState,
  BatchMoments,
  BatchNormPass,
  BatchNormTail,
  ConvWindow,
  CrossEntropy,
  MaxPool,
  PhiloxCounter,
  PhiloxKey,
  PoolWindow,
} from '../kernels.js';
import { recurrenceBy } from '../recurrence-pass.js';
import type { RunRecurrence } from '../recurrence.js';
import { wasmAdam } from './adam.js';
import { batchNorm, columnSums, moments } from './batch-norm.js';
import { convGeometry, poolGeometry } from './geometry.js';
import { hashAt } from './hash.js';
import type { WasmModule } from './module.js';
import { maxPool, maxPoolGradient } from './pool.js';
import { wasmRecurrence } from './recurrence.js';
import { convolve, filterGradient, inputGradient, multiply } from './products.js';

/** See `Kernels` for the contract of each method. */
export class WasmKernels extends BaseKernels {
  readonly name: string;
  readonly #module: WasmModule;
  readonly #recurrence: RunRecurrence;

  constructor(tf: Tensorflow, module: WasmModule) {
    super(tf);
    this.#module = module;
    this.#recurrence = recurrenceBy(tf, this, wasmRecurrence(module));
    this.name = `own wasm ${module.hash}`;
  }

  override get recurrence(): RunRecurrence {
    return this.#recurrence;
  }

  conv2d(x: Tensor4D, filter: Tensor4D, window: ConvWindow): Tensor4D {
    const geometry = convGeometry(x.shape, filter.shape, window);
    return this.#tensor(convolve(this.#module, x, filter, geometry));
  }

  conv2dFilterGradient(
    x: Tensor4D,
    filterShape: readonly number[],
    dy: Tensor4D,
    window: ConvWindow,
  ): Tensor4D {
    return this.#tensor(filterGradient(this.#module, x, dy, convGeometry(x.shape, filterShape, window)));
  }

  conv2dInputGradient(
    xShape: readonly number[],
    filter: Tensor4D,
    dy: Tensor4D,
    window: ConvWindow,
  ): Tensor4D {
    const geometry = convGeometry(xShape, filter.shape, window);
    return this.#tensor(inputGradient(this.#module, filter, dy, geometry));
  }

  biasAdd(x: Tensor, bias: Tensor1D): Tensor {
    const { tensor, to } = this.#module.output(x.shape);
    const [from, add] = [this.#module.address(x), this.#module.address(bias)];
    this.#module.run.biasAdd(from, x.size / bias.size, bias.size, add, to);
    return tensor;
  }

  columnSums(x: Tensor): Tensor1D {
    return this.tf.tensor1d(Float32Array.from(columnSums(this.tf, this.#module, x)));
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

  maxPool(x: Tensor4D, window: PoolWindow): MaxPool {
    const geometry = poolGeometry(x.shape, window);
    return {
      y: this.#tensor(maxPool(this.#module, x, geometry)),
      gradient: (dy) => this.#tensor(maxPoolGradient(this.#module, x, dy, geometry)),
    };
  }

  moments(x: Tensor): BatchMoments {
    return moments(this.tf, this.#module, x);
  }

  override readonly fusesRelu6 = false;

  override batchNorm(x: Tensor, affine: Float32Array, tail: BatchNormTail): BatchNormPass {
    if (tail.activation === 'relu6') return super.batchNorm(x, affine, tail);
    return batchNorm(this.tf, this.#module, x, affine, tail);
  }

  matMul(a: Tensor2D, b: Tensor2D, transposeA: boolean, transposeB: boolean): Tensor2D {
    return this.#tensor(multiply(this.#module, a, b, transposeA, transposeB));
  }

  softmaxCrossEntropy(logits: Tensor2D, labels: Tensor1D): CrossEntropy {
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
    [low, high]: PhiloxKey,
    [c0, c2, c3]: PhiloxCounter,
  ): Tensor2D {
    const { tensor, to } = this.#module.output<Tensor2D>([rows, columns]);
    this.#module.run.philoxUniform(low, high, c0, c2, c3, (rows * columns) / 4, to);
    return tensor;
  }

  /** Copies from the heap, where the hash is computed as well. */
  override store(value: Tensor, target: Float32Array, hash?: Uint8Array): void {
    const address = this.#module.address(value);
    target.set(this.#module.floats(address, value.size));
    if (hash) hashAt(this.#module, address, value.size, hash);
  }

  adam(parameters: Float32Array, sizes: readonly number[], beta1: number, beta2: number): AdamState {
    return wasmAdam(this.#module, parameters, sizes, beta1, beta2);
  }

  #tensor<T extends Tensor>(info: TensorInfo): T {
    return this.#module.tensor<T>(info);
  }
}
