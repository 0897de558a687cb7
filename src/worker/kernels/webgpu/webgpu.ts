/** Kernels on tfjs's WebGPU backend. Products and convolutions are tfjs's own shaders; the others are Lockstep's where they save reads. */

import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import { hashFloats } from '../../../shared/ledger/hash.js';
import type { PinnedVector } from '../../../shared/memory/pinned-vector.js';
import type { Tensorflow } from '../../../api/tensorflow.js';
import { ReadBatch } from '../../engine/webgpu/read-batch.js';
import type {
  AdamState,
  BatchMoments,
  BatchNormPass,
  BatchNormTail,
  CrossEntropy,
  PhiloxCounter,
  PhiloxKey,
  ShardTargets,
} from '../kernels.js';
import { PortableKernels } from '../portable.js';
import { WebgpuAdam, adamBytes } from './adam.js';
import { batchNorm, moments } from './batch-norm.js';
import { dropout, philoxUniform } from './random.js';
import { columnSums, softmaxCrossEntropy } from './reductions.js';
import { ShardSums } from './shard-sums.js';
import { Shaders, int } from './shaders.js';

interface PendingStore {
  readonly values: () => Float32Array;
  readonly target: PinnedVector;
  readonly hash?: Uint8Array | undefined;
  readonly added?: readonly PinnedVector[];
}

/** See `Kernels` for the contract of each method. */
export class WebgpuKernels extends PortableKernels {
  override readonly name: string = 'webgpu';
  readonly #shaders: Shaders;
  readonly #statistics: ReadBatch;
  readonly #gradients: ReadBatch;
  readonly #sums: ShardSums;
  #stores: PendingStore[] = [];

  constructor(tf: Tensorflow) {
    super(tf);
    this.#shaders = new Shaders(tf);
    this.#statistics = new ReadBatch(this.#shaders.backend);
    this.#gradients = new ReadBatch(this.#shaders.backend);
    this.#sums = new ShardSums(this.#shaders);
  }

  override moments(x: Tensor): BatchMoments {
    return moments(this.#shaders, this.#statistics, x);
  }

  override batchNorm(x: Tensor, affine: Float32Array, tail: BatchNormTail): BatchNormPass {
    return batchNorm(this.#shaders, this.#statistics, x, affine, tail);
  }

  override philoxUniform(rows: number, columns: number, key: PhiloxKey, counter: PhiloxCounter): Tensor2D {
    return philoxUniform(this.#shaders, rows, columns, key, counter);
  }

  override dropout(x: Tensor, rate: number, key: PhiloxKey, counter: PhiloxCounter): Tensor {
    return dropout(this.#shaders, x, rate, key, counter);
  }

  override columnSums(x: Tensor): Tensor1D {
    return columnSums(this.#shaders, x);
  }

  override reluGradient(dy: Tensor, y: Tensor): Tensor {
    const program = {
      key: 'lockstepReluGradient',
      inputs: ['dy', 'y'],
      uniforms: 'count : i32,',
      invocations: dy.size,
      outputShape: dy.shape,
      code: `fn main(index : i32) {
        if (index < uniforms.count) { result[index] = select(0.0, dy[index], y[index] > 0.0); }
      }`,
    };
    return this.#shaders.tensor(this.#shaders.run(program, [dy, y], int(dy.size)));
  }

  override softmaxCrossEntropy(logits: Tensor2D, labels: Tensor1D): CrossEntropy {
    return softmaxCrossEntropy(this.#shaders, logits, labels);
  }

  /** A state that is too large for one buffer of the adapter stays in the memory of the host. */
  override adam(parameters: Float32Array, sizes: readonly number[], beta1: number, beta2: number): AdamState {
    const { maxStorageBufferBindingSize = 0 } = this.#shaders.backend.device.limits;
    if (parameters.length === 0 || adamBytes(parameters.length) > maxStorageBufferBindingSize)
      return super.adam(parameters, sizes, beta1, beta2);
    return new WebgpuAdam(this.#shaders, parameters, sizes, [beta1, beta2]);
  }

  override store(value: Tensor, target: PinnedVector, hash?: Uint8Array, shards?: ShardTargets): void {
    // The ledger contains the hash of each shard's gradient.
    if (shards && !hash && this.#sums.add(value, target, shards)) return;
    const values = this.#gradients.add(value.dataId);
    this.#stores.push({ values: () => values() as Float32Array, target, hash });
  }

  /** Reads all gradients that were stored since the last call at once. */
  override completeStores(): void {
    const stores: PendingStore[] = [...this.#stores, ...this.#sums.complete(this.#gradients)];
    this.#stores = [];
    for (const { values, target, hash, added = [] } of stores) {
      target.set(values());
      for (const vector of added) vector.fill(-0);
      if (hash) hashFloats(target, hash);
    }
  }

  override discardStores(): void {
    this.#stores = [];
    this.#sums.discard();
    this.#gradients.discard();
  }
}
