/**
 * Adam on the GPU. One buffer holds the parameters, the first and the second moments, and one shader updates them in place. It computes
 * in float32. The ledger's hash is computed there as well, up to the last sum over its lanes, which the host computes.
 */

import type { Tensor1D, TensorInfo, TypedArray } from '@tensorflow/tfjs-core';
import { foldLanes, hashLanes, hashPlace } from '../../../shared/ledger/hash.js';
import type { PinnedVector } from '../../../shared/memory/pinned-vector.js';
import {
  adamVectors,
  readAdamVectors,
  vectorOf,
  type NamedVectors,
  type ParameterVector,
  type PinnedVectors,
} from '../../../shared/model/named-vectors.js';
import { ReadBatch } from '../../engine/webgpu/read-batch.js';
import { copyOf } from '../host-updates.js';
import type { AdamState, AdamStep } from '../kernels.js';
import { float, int, type Shaders } from './shaders.js';

const updateCode = `
  fn main(index : i32) {
    if (index < uniforms.count) {
      let g = gradient[index];
      let m = result[uniforms.count + index];
      let first = m + uniforms.gain1 * (g - m);
      let second = result[2 * uniforms.count + index] * uniforms.beta2 + uniforms.gain2 * g * g;
      result[index] = result[index] - uniforms.stepSize * first / (sqrt(second) / uniforms.correction + uniforms.epsilon);
      result[uniforms.count + index] = first;
      result[2 * uniforms.count + index] = second;
    }
  }
`;

/** Each invocation computes one lane of the hash of one parameter; spans[2i] and spans[2i + 1] are its offset and its size. */
const lanesCode = `
  fn main(index : i32) {
    if (index < uniforms.count) {
      let part = index / ${hashLanes};
      let lane = index % ${hashLanes};
      let end = spans[2 * part] + spans[2 * part + 1];
      var state = 0x9e3779b9u * u32(lane + 1);
      for (var i = spans[2 * part] + lane; i < end; i = i + ${hashLanes}) {
        state = (state ^ bitcast<u32>(values[i])) * 0x85ebca6bu;
        state = (state << 13u) | (state >> 19u);
      }
      result[index] = bitcast<i32>(state);
    }
  }
`;

/** Only parameters of at most this many elements are read together with others. */
const mostPrefetched = 2048;

/** Bytes of the buffer of a state with `count` parameters. */
export const adamBytes = (count: number): number => 3 * count * Float32Array.BYTES_PER_ELEMENT;

/** See `AdamState` for the contract. */
export class WebgpuAdam implements AdamState {
  readonly #shaders: Shaders;
  readonly #sizes: readonly number[];
  readonly #betas: readonly [number, number];
  readonly #count: number;
  /** [parameters, first moments, second moments] */
  #state: TensorInfo;
  readonly #spans: TensorInfo;
  /** Indices of the parameters that the host has read. */
  readonly #wanted = new Set<number>();
  #values: ReadBatch;
  #current: object[] = [];

  constructor(
    shaders: Shaders,
    initial: Float32Array,
    sizes: readonly number[],
    betas: readonly [number, number],
  ) {
    this.#shaders = shaders;
    this.#sizes = sizes;
    this.#betas = betas;
    this.#count = initial.length;
    this.#values = new ReadBatch(shaders.backend);
    const moments = new Float32Array(initial.length);
    this.#state = this.#upload([initial, moments, moments]);
    const spans = sizes.flatMap((size, i) => [this.#offset(i), size]);
    this.#spans = shaders.backend.makeTensorInfo([spans.length], 'int32', Int32Array.from(spans));
  }

  apply(
    gradient: PinnedVector,
    { stepSize, correction, epsilon }: AdamStep,
    hashes?: Uint8Array,
  ): Tensor1D[] {
    const shaders = this.#shaders;
    const [beta1, beta2] = this.#betas;
    const program = {
      key: 'lockstepAdam',
      inputs: ['gradient'],
      uniforms:
        'count : i32, gain1 : f32, beta2 : f32, gain2 : f32, stepSize : f32, correction : f32, epsilon : f32,',
      invocations: this.#count,
      outputShape: this.#state.shape,
      code: updateCode,
    };
    const uniforms = [
      ...int(this.#count),
      ...float(1 - beta1, beta2, 1 - beta2, stepSize, correction, epsilon),
    ];
    shaders.tf.tidy(() => {
      shaders.runInto(this.#state, program, [shaders.tf.tensor1d(gradient)], uniforms);
    });
    const updated = this.#sizes.map((size, i) => shaders.part(this.#state, this.#offset(i), size));
    this.#prefetch(updated);
    if (hashes) this.#hash(hashes);
    return updated.map((info) => shaders.tensor<Tensor1D>(info));
  }

  /**
   * Parameters that the host reads between updates, such as those of a BatchNorm, are read together after the next update. Parameters that
   * it has not read so far are not copied.
   */
  #prefetch(updated: readonly TensorInfo[]): void {
    const { backend } = this.#shaders;
    this.#forget();
    for (const [i, { dataId }] of updated.entries()) {
      if ((this.#sizes[i] ?? 0) > mostPrefetched) continue;
      const alone = (): TypedArray => {
        this.#wanted.add(i);
        const values = new ReadBatch(backend).add(dataId)();
        backend.prefetched.set(dataId, () => values);
        return values;
      };
      backend.prefetched.set(dataId, this.#wanted.has(i) ? this.#values.add(dataId) : alone);
      this.#current.push(dataId);
    }
  }

  /** Frees what has been prefetched of older parameters. */
  #forget(): void {
    for (const dataId of this.#current) this.#shaders.backend.prefetched.delete(dataId);
    this.#current = [];
    this.#values.discard();
    this.#values = new ReadBatch(this.#shaders.backend);
  }

  read(into?: PinnedVectors, only?: ParameterVector): NamedVectors {
    return readAdamVectors(only, (name, i) => {
      const part = this.#shaders.part(this.#state, i * this.#count, this.#count);
      return copyOf(this.#take(part) as Float32Array, into?.get(name));
    });
  }

  write(state: NamedVectors): void {
    this.#shaders.backend.disposeData(this.#state.dataId);
    this.#state = this.#upload(adamVectors.map((name) => vectorOf(state, name)));
  }

  dispose(): void {
    this.#forget();
    for (const { dataId } of [this.#state, this.#spans]) this.#shaders.backend.disposeData(dataId);
  }

  /** Returns the index of the first element of parameter `at`. */
  #offset(at: number): number {
    return this.#sizes.slice(0, at).reduce((sum, size) => sum + size, 0);
  }

  #upload(vectors: readonly Float32Array[]): TensorInfo {
    const { backend } = this.#shaders;
    const joined = new Float32Array(3 * this.#count);
    for (const [i, vector] of vectors.entries()) joined.set(vector, i * this.#count);
    const info = backend.makeTensorInfo([joined.length], 'float32', joined);
    backend.uploadToGPU(info.dataId);
    return info;
  }

  #hash(hashes: Uint8Array): void {
    const count = this.#sizes.length * hashLanes;
    const program = {
      key: 'lockstepLedgerLanes',
      inputs: ['values', 'spans'],
      uniforms: 'count : i32,',
      invocations: count,
      outputShape: [count],
      code: lanesCode,
    };
    const info = this.#shaders.run(program, [this.#state, this.#spans], int(count), 'int32');
    const lanes = this.#take(info) as Int32Array;
    for (const [i, size] of this.#sizes.entries())
      foldLanes(lanes.subarray(i * hashLanes, (i + 1) * hashLanes), size, hashPlace(hashes, i));
  }

  /** Reads the values of `info` and frees it. */
  #take({ dataId }: TensorInfo): TypedArray {
    const { backend } = this.#shaders;
    const values = new ReadBatch(backend).add(dataId);
    backend.disposeData(dataId);
    return values();
  }
}
