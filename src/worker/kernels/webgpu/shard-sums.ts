/**
 * Adds the gradients of a worker's shards on the GPU, along the fixed tree and with the bits of the host's additions, so that one vector
 * is read instead of one per shard. A parameter whose gradients are not all there is read shard by shard, which has the same result.
 */

import type { Tensor, TensorInfo } from '@tensorflow/tfjs-core';
import type { PinnedVector } from '../../../shared/memory/pinned-vector.js';
import type { Range } from '../../../shared/sharding/identifiers.js';
import type { ReadBatch } from '../../engine/webgpu/read-batch.js';
import type { ShardTargets } from '../kernels.js';
import { addBitsCode } from './float-sum.js';
import { int, type Shaders } from './shaders.js';

/** Adds `leaves` vectors of `count` elements in place; the first one receives the sum. Level by level, each node adds its neighbour. */
const sumCode = `
  ${addBitsCode}
  fn main(index : i32) {
    if (index < uniforms.count) {
      for (var distance = 1; distance < uniforms.leaves; distance = 2 * distance) {
        for (var leaf = 0; leaf + distance < uniforms.leaves; leaf = leaf + 2 * distance) {
          let left = (uniforms.first + leaf) * uniforms.count + index;
          let right = left + distance * uniforms.count;
          result[left] = bitcast<i32>(addBits(bitcast<u32>(result[left]), bitcast<u32>(result[right])));
        }
      }
    }
  }
`;

const bytesPerElement = 4;

/** The gradients of one parameter. */
interface Group {
  readonly shards: ShardTargets;
  /** Number of elements of the parameter. */
  readonly count: number;
  /** [shard, element]: the patterns of the gradients, as integers, which no driver changes. */
  readonly patterns: TensorInfo;
  /** Indices of the shards whose gradients are there. */
  readonly present: Set<number>;
}

/** A vector that is read. */
export interface SumRead {
  readonly values: () => Float32Array;
  readonly target: PinnedVector;
  /** Targets that become -0, because their gradients are part of `values`. Adding -0 changes no number. */
  readonly added: readonly PinnedVector[];
}

export class ShardSums {
  readonly #shaders: Shaders;
  /** By `ShardTargets.targets`. */
  readonly #groups = new Map<readonly PinnedVector[], Group>();

  constructor(shaders: Shaders) {
    this.#shaders = shaders;
  }

  /** Queues a copy of a gradient. Returns false if the engine adds nothing here: one shard only, or vectors too large for one buffer. */
  add(value: Tensor, target: PinnedVector, shards: ShardTargets): boolean {
    const { backend } = this.#shaders;
    const { maxStorageBufferBindingSize = 0 } = backend.device.limits;
    const bytes = value.size * bytesPerElement;
    if (shards.targets.length < 2 || bytes * shards.targets.length > maxStorageBufferBindingSize)
      return false;
    backend.uploadToGPU(value.dataId);
    const group = this.#groups.get(shards.targets) ?? this.#open(shards, value.size);
    const at = shards.targets.indexOf(target);
    this.#shaders.copy(value, 0, group.patterns, at * value.size, value.size);
    group.present.add(at);
    return true;
  }

  #open(shards: ShardTargets, count: number): Group {
    const { backend } = this.#shaders;
    const patterns = backend.makeTensorInfo([shards.targets.length, count], 'int32');
    backend.uploadToGPU(patterns.dataId);
    const group = { shards, count, patterns, present: new Set<number>() };
    this.#groups.set(shards.targets, group);
    return group;
  }

  /** Adds what is there, queues the reads in `batch`, and frees the memory. */
  complete(batch: ReadBatch): SumRead[] {
    const reads = [...this.#groups.values()].flatMap((group) => this.#read(group, batch));
    this.discard();
    return reads;
  }

  discard(): void {
    for (const { patterns } of this.#groups.values()) this.#shaders.backend.disposeData(patterns.dataId);
    this.#groups.clear();
  }

  #read({ shards: { targets, subtrees }, count, patterns, present }: Group, batch: ReadBatch): SumRead[] {
    const read = (at: number, added: readonly PinnedVector[]): SumRead[] => {
      const target = targets[at];
      if (!target || !present.has(at)) return [];
      const integers = batch.add(patterns.dataId, { start: at * count, end: (at + 1) * count });
      const values = (): Float32Array => {
        const { buffer, byteOffset } = integers();
        return new Float32Array(buffer, byteOffset, count);
      };
      return [{ values, target, added }];
    };
    return subtrees.flatMap(({ start, end }) => {
      const leaves = Array.from({ length: end - start }, (_, i) => start + i);
      if (leaves.length < 2 || !leaves.every((leaf) => present.has(leaf)))
        return leaves.flatMap((leaf) => read(leaf, []));
      this.#sum(patterns, count, { start, end });
      return read(start, targets.slice(start + 1, end));
    });
  }

  #sum(patterns: TensorInfo, count: number, { start, end }: Range): void {
    const program = {
      key: 'lockstepShardSum',
      inputs: [],
      uniforms: 'count : i32, first : i32, leaves : i32,',
      invocations: count,
      outputShape: patterns.shape,
      code: sumCode,
    };
    this.#shaders.runInto(patterns, program, [], int(count, start, end - start));
  }
}
