/**
 * Which samples a step trains on, and which of them belong to which shard. A function of the config: the same for every
 * membership, and for a run that is resumed at any step.
 */

import { invariant } from '../errors.js';
import { epochPermutation } from '../random/permutation.js';
import { partition } from '../sharding/ranges.js';
import type { Range } from '../sharding/identifiers.js';

export interface BatchPlan {
  /** Counts from 1 over the whole run. */
  readonly step: number;
  /** Counts from 0. */
  readonly epoch: number;
  /** Counts from 1 in the epoch. */
  readonly stepInEpoch: number;
  /** Samples in this batch; the last one of an epoch may be smaller. */
  readonly count: number;
}

export class Sampler {
  readonly #seed: number;
  readonly #count: number;
  readonly #batchSize: number;
  readonly #shards: number;
  readonly #parts: number;
  #epoch = -1;
  #order: Int32Array = new Int32Array(0);

  /** @param options.parts that each batch is computed in; 1 if left out */
  constructor(options: { seed: number; count: number; batchSize: number; shards: number; parts?: number }) {
    this.#seed = options.seed;
    this.#count = options.count;
    this.#batchSize = options.batchSize;
    this.#shards = options.shards;
    this.#parts = options.parts ?? 1;
  }

  get stepsPerEpoch(): number {
    return Math.ceil(this.#count / this.#batchSize);
  }

  plan(step: number): BatchPlan {
    invariant(step >= 1, `steps count from 1, got ${step}`);
    const epoch = Math.floor((step - 1) / this.stepsPerEpoch);
    const stepInEpoch = step - epoch * this.stepsPerEpoch;
    const count = Math.min(this.#batchSize, this.#count - (stepInEpoch - 1) * this.#batchSize);
    return { step, epoch, stepInEpoch, count };
  }

  /** Positions in the batch that are computed together: a range for each part that has samples. */
  parts(batch: BatchPlan): Range[] {
    const all = Array.from({ length: this.#parts }, (_, part) => partition(batch.count, this.#parts, part));
    return all.filter(({ start, end }) => end > start);
  }

  /** Positions in the batch that shard `shard` owns, in a part of it; none where there are more shards than samples. */
  slice(batch: BatchPlan, shard: number, part: Range = { start: 0, end: batch.count }): Range {
    const { start, end } = partition(part.end - part.start, this.#shards, shard);
    return { start: part.start + start, end: part.start + end };
  }

  /** Indices into the training set of the samples at `positions` of the batch. Valid until the epoch changes. */
  indices(batch: BatchPlan, positions: Range): Int32Array {
    if (batch.epoch !== this.#epoch) {
      this.#order = epochPermutation(this.#seed, batch.epoch, this.#count);
      this.#epoch = batch.epoch;
    }
    const start = (batch.stepInEpoch - 1) * this.#batchSize;
    return this.#order.subarray(start + positions.start, start + positions.end);
  }
}

/** Steps of the whole run: all epochs, or `maxSteps` if that is fewer. */
export function totalSteps(stepsPerEpoch: number, epochs: number, maxSteps: number | null): number {
  const all = stepsPerEpoch * epochs;
  return maxSteps === null ? all : Math.min(all, maxSteps);
}
