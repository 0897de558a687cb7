/**
 * Collects the gradients of each shard into buckets. A bucket is all-reduced as soon as it is complete, while the backward pass
 * continues (like PyTorch DDP's Reducer; Li et al., VLDB 2020). Defines the flat order of the trainable parameters: the order in
 * which the backward pass reaches them.
 *
 * A bucket is a range of the flat vector and may begin or end inside a parameter. A large parameter is therefore sent in pieces
 * that stay in a core's cache while they are copied and summed. BatchNorm's small vectors can be sent between two pieces.
 */

import type { Tensor } from '@tensorflow/tfjs-core';
import { InvariantError, invariant } from '../../shared/errors.js';
import { elementCount, type Layout } from '../../shared/model/layout.js';
import { addFloat32, reductionOf, type VectorReduction } from '../../shared/collectives/reduction.js';
import { allocatePinned, pinnedSlice, type PinnedVector } from '../../shared/memory/pinned-vector.js';
import type { RunConfig } from '../../shared/config/run-config.js';
import type { Allocation, CollectiveHandle, CollectiveRegistrar } from '../communicator/communicator.js';
import type { GradientWriter } from '../kernels/kernels.js';
import type { ActiveShard } from './layer-op.js';

export interface FlatParameter {
  /** Index in the layout. */
  readonly weight: number;
  readonly shape: readonly number[];
  /** Index of its first element in the flat vector. */
  readonly offset: number;
  readonly size: number;
}

/** Lays out the trainable parameters in one vector. @param order layout indices */
export function flatten(layout: Layout, order: readonly number[]): FlatParameter[] {
  let offset = 0;
  return order.map((weight) => {
    const entry = layout[weight];
    invariant(entry, `no weight ${weight} in the layout`);
    const size = elementCount(entry.shape);
    offset += size;
    return { weight, shape: entry.shape, offset: offset - size, size };
  });
}

interface Bucket {
  readonly collective: CollectiveHandle;
  /** A collective over the same elements that does not round; for the transfer of state. */
  readonly exact: CollectiveHandle;
  readonly start: number;
  /** The part of the averaged gradient that this bucket holds. */
  readonly result: PinnedVector;
  /** Number of gradients that this round still lacks, over all active shards. */
  missing: number;
}

/** A part of a parameter that lies in one bucket. */
interface Segment {
  readonly bucket: Bucket;
  /** Index of its first element inside the bucket. */
  readonly at: number;
  /** Elements [from, to) of the parameter. */
  readonly from: number;
  readonly to: number;
}

interface GradientTarget {
  readonly segments: readonly Segment[];
  /** Destination of the gradient, per local shard. */
  readonly targets: readonly PinnedVector[];
  readonly size: number;
  readonly uses: number;
}

export interface GradientHooks {
  /**
   * Copies a tensor's values to `targets[local]`. Called for the first gradient that a weight gets on a local shard. Most weights
   * get only one; `isOnly` is false if others follow.
   */
  readonly store: (
    value: Tensor,
    targets: readonly PinnedVector[],
    weight: number,
    local: number,
    isOnly: boolean,
  ) => void;
  /** Completes all copies of `store`, which may be pending until then. Called before a target is read. */
  readonly completeStores: () => void;
  /** Forgets the copies that are pending. Called when a step begins: those of an aborted step have targets of an old generation. */
  readonly discardStores: () => void;
  /**
   * Called with each shard's complete gradient of a weight before it is sent. It may change the gradient. `stored` is true if the
   * gradient is a single tensor that `store` has copied. It is false for a sum, an array or a gradient that a function wrote.
   */
  readonly complete?:
    | ((step: number, weight: number, local: number, gradient: Float32Array, stored: boolean) => void)
    | undefined;
}

export class GradientBuckets {
  readonly #buckets: Bucket[] = [];
  readonly #targets = new Map<number, GradientTarget>();
  readonly #vectors: Allocation;
  readonly #hooks: GradientHooks;
  /** Number of gradients added in this step so far, by `weight/shard`. */
  readonly #seen = new Map<string, number>();
  /**
   * A scratch vector per weight, the same in every step. A layer may supply a gradient as a function that writes it
   * (`GradientWriter`). If it is not the first gradient of this weight and shard, the function writes to this vector, which is then added to
   * the sum of the previous ones.
   */
  readonly #scratch = new Map<number, PinnedVector>();
  #step = 0;
  /** Number of the step's micro-batches in which each local shard has samples. */
  #microBatches = new Map<number, number>();

  constructor(
    communicator: CollectiveRegistrar,
    parameters: readonly FlatParameter[],
    uses: ReadonlyMap<number, number>,
    { bucketBytes, gradientDtype: type }: Pick<RunConfig, 'bucketBytes' | 'gradientDtype'>,
    hooks: GradientHooks,
  ) {
    this.#hooks = hooks;
    const total = parameters.reduce((sum, { size }) => sum + size, 0);
    this.#vectors = communicator.allocate(total);
    const capacity = Math.max(1, Math.floor(bucketBytes / 4));
    for (let start = 0; start < total; start += capacity) {
      const elementCount = Math.min(capacity, total - start);
      const name = `gradients/${this.#buckets.length}`;
      const register = (reduction: VectorReduction): CollectiveHandle =>
        communicator.register({ name, reduction, elementCount }, { allocation: this.#vectors, start });
      const collective = register(reductionOf(type));
      const exact = type === 'float32' ? collective : register('sum-float32');
      const result = pinnedSlice(this.#vectors.output, start, start + elementCount);
      this.#buckets.push({ collective, exact, start, result, missing: 0 });
    }
    for (const { weight, offset, size } of parameters) {
      const segments = this.#buckets
        .slice(Math.floor(offset / capacity), Math.ceil((offset + size) / capacity))
        .map((bucket): Segment => {
          const from = Math.max(0, bucket.start - offset);
          const to = Math.min(size, bucket.start + capacity - offset);
          return { bucket, at: offset + from - bucket.start, from, to };
        });
      const targets = this.#vectors.inputs.map((vector) => pinnedSlice(vector, offset, offset + size));
      this.#targets.set(weight, { segments, targets, size, uses: uses.get(weight) ?? 1 });
    }
  }

  /**
   * Starts a step. Its batch is computed in micro-batches, in each of which some local shards have samples. A shard's gradients
   * are summed over the micro-batches, in order, before they are sent. Shards without samples contribute zeros.
   */
  begin(step: number, microBatches: readonly (readonly ActiveShard[])[]): void {
    this.#step = step;
    this.#hooks.discardStores();
    this.#microBatches = new Map();
    for (const { local } of microBatches.flat())
      this.#microBatches.set(local, (this.#microBatches.get(local) ?? 0) + 1);
    this.#seen.clear();
    for (const bucket of this.#buckets) {
      for (const [local, vector] of bucket.collective.inputs.entries()) {
        if (!this.#microBatches.has(local)) vector.fill(0);
      }
      bucket.missing = 0;
    }
    const contributions = microBatches.flat().length;
    for (const { segments, uses } of this.#targets.values()) {
      for (const { bucket } of segments) bucket.missing += uses * contributions;
    }
    for (const bucket of this.#buckets) if (bucket.missing === 0) this.#start(bucket);
  }

  /** Adds the gradient of one weight on one shard, and starts each bucket that this completes. */
  add(weight: number, shard: ActiveShard, value: Tensor | Float32Array | GradientWriter): void {
    const gradientTarget = this.#targets.get(weight);
    invariant(gradientTarget, `weight ${weight} is not trainable`);
    const { segments, targets, size, uses } = gradientTarget;
    if (typeof value !== 'function') {
      const length = value instanceof Float32Array ? value.length : value.size;
      invariant(length === size, `gradient of weight ${weight}: ${length} of ${size} elements`);
    }
    const key = `${weight}/${shard.local}`;
    const seen = (this.#seen.get(key) ?? 0) + 1;
    const expected = uses * (this.#microBatches.get(shard.local) ?? 0);
    if (seen > expected)
      throw new InvariantError(`weight ${weight} has ${seen} gradients of shard ${shard.local}`);
    this.#seen.set(key, seen);
    const target = targets[shard.local];
    invariant(target, `shard ${shard.local} does not belong to this worker`);
    const stored = seen === 1 && typeof value !== 'function' && !(value instanceof Float32Array);
    if (stored) this.#hooks.store(value, targets, weight, shard.local, expected === 1);
    else if (seen > 1) this.#addTo(target, this.#valuesOf(value, weight, size));
    else if (typeof value === 'function') value(target);
    else target.set(value as Float32Array);
    if (seen === expected) this.#hooks.complete?.(this.#step, weight, shard.local, target, stored);
    for (const { bucket } of segments) if (--bucket.missing === 0) this.#start(bucket);
  }

  #start({ collective }: Bucket): void {
    this.#hooks.completeStores();
    collective.start(this.#step);
  }

  /** Adds to a sum whose first part may be a store that is pending. */
  #addTo(target: PinnedVector, values: Float32Array): void {
    this.#hooks.completeStores();
    addFloat32(target, target, values);
  }

  #valuesOf(value: Tensor | Float32Array | GradientWriter, weight: number, size: number): Float32Array {
    if (value instanceof Float32Array) return value;
    if (typeof value !== 'function') return value.dataSync<'float32'>();
    const held = this.#scratch.get(weight) ?? allocatePinned(size);
    this.#scratch.set(weight, held);
    value(held);
    return held;
  }

  /**
   * Waits for every bucket and returns the gradient of the global mean loss as one flat vector, valid until the next
   * step. Weights that the backward pass did not reach have gradient zero.
   * @param examine called with each part of the gradient as soon as it has arrived, while later parts are still on their way
   */
  finish(examine?: (part: Float32Array) => void): PinnedVector {
    for (const [weight, { segments, uses }] of this.#targets) {
      for (const { bucket, at, from, to } of segments) {
        if (bucket.missing === 0) continue;
        for (const [local, vector] of bucket.collective.inputs.entries()) {
          const seen = this.#seen.get(`${weight}/${local}`) ?? 0;
          if (seen === 0) vector.fill(0, at, at + to - from);
          bucket.missing -= uses * (this.#microBatches.get(local) ?? 0) - seen;
        }
        if (bucket.missing <= 0) {
          bucket.missing = 0;
          this.#start(bucket);
        }
      }
    }
    for (const { collective, result } of this.#buckets) {
      collective.wait();
      examine?.(result);
    }
    return this.#vectors.output;
  }

  /**
   * Broadcasts one worker's vector to all workers, bit for bit. The vector is as long as the flat gradient. In an all-reduce, all
   * other workers contribute -0, because adding -0 changes no number. The result is valid until the next round.
   * @param values the vector on the source, undefined on all other workers
   */
  broadcast(step: number, values: Float32Array | undefined): Float32Array {
    for (const [local, vector] of this.#vectors.inputs.entries()) {
      if (local === 0 && values) vector.set(values);
      else vector.fill(-0);
    }
    for (const { exact } of this.#buckets) exact.start(step);
    for (const { exact } of this.#buckets) exact.wait();
    return this.#vectors.output;
  }
}
