/**
 * Determines the samples of each step and their assignment to shards. A function of the configuration alone: it does not depend on the
 * workers, and a run that resumes at any step continues with the same samples.
 */

import { invariant } from '../errors.js';
import { epochPermutation, inOrder } from '../random/permutation.js';
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
  readonly #microBatches: number;
  readonly #shuffle: boolean;
  #epoch = -1;
  #order: Int32Array = new Int32Array(0);

  /**
   * @param options.microBatches number of micro-batches that each batch is computed in, one after another; default 1
   * @param options.shuffle false to keep the order of the data in every epoch; default true
   */
  constructor(options: {
    seed: number;
    count: number;
    batchSize: number;
    shards: number;
    microBatches?: number;
    shuffle?: boolean;
  }) {
    this.#seed = options.seed;
    this.#count = options.count;
    this.#batchSize = options.batchSize;
    this.#shards = options.shards;
    this.#microBatches = options.microBatches ?? 1;
    this.#shuffle = options.shuffle ?? true;
  }

  get stepsPerEpoch(): number {
    return Math.ceil(this.#count / this.#batchSize);
  }

  /** @param step counts from 1 over the whole run */
  plan(step: number): BatchPlan {
    invariant(step >= 1, `steps count from 1, got ${step}`);
    const epoch = Math.floor((step - 1) / this.stepsPerEpoch);
    const stepInEpoch = step - epoch * this.stepsPerEpoch;
    const count = Math.min(this.#batchSize, this.#count - (stepInEpoch - 1) * this.#batchSize);
    return { step, epoch, stepInEpoch, count };
  }

  /** Ranges of positions in the batch that are computed together, one for each micro-batch that has samples. */
  microBatches(batch: BatchPlan): Range[] {
    const all = Array.from({ length: this.#microBatches }, (_, index) =>
      partition(batch.count, this.#microBatches, index),
    );
    return all.filter(({ start, end }) => end > start);
  }

  /** Positions in a micro-batch that belong to a shard; an empty range if there are fewer samples than shards. */
  slice(batch: BatchPlan, shard: number, microBatch: Range = { start: 0, end: batch.count }): Range {
    const { start, end } = partition(microBatch.end - microBatch.start, this.#shards, shard);
    return { start: microBatch.start + start, end: microBatch.start + end };
  }

  /** Indices in the training set of the samples at these positions of the batch. A view, valid until the epoch changes. */
  indices(batch: BatchPlan, positions: Range): Int32Array {
    if (batch.epoch !== this.#epoch) {
      this.#order = this.#shuffle
        ? epochPermutation(this.#seed, batch.epoch, this.#count)
        : inOrder(this.#count);
      this.#epoch = batch.epoch;
    }
    const start = (batch.stepInEpoch - 1) * this.#batchSize;
    return this.#order.subarray(start + positions.start, start + positions.end);
  }
}

/** Number of steps of the whole run: those of all epochs, or `maxSteps` if that is less. */
export function totalSteps(stepsPerEpoch: number, epochs: number, maxSteps: number | null): number {
  const all = stepsPerEpoch * epochs;
  return maxSteps === null ? all : Math.min(all, maxSteps);
}
