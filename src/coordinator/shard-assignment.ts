/**
 * The number of shards for each worker if the workers differ in speed. Contains the arithmetic only.
 *
 * A worker with `count` shards computes for `updateMs + count * shardMs` per step. All workers wait for the slowest one, so the best
 * assignment is the one with the smallest maximum of these times.
 */

import { invariant } from '../shared/errors.js';

/** The times of a worker's own computation in milliseconds, without its waits for other workers. */
export interface ComputeTimes {
  /** Forward pass, loss and backward pass of one shard. */
  readonly shardMs: number;
  /** The part of a step that does not depend on the number of shards. */
  readonly updateMs: number;
}

/** The time of the slowest worker. */
export function slowestMs(counts: readonly number[], measuredTimes: readonly ComputeTimes[]): number {
  return Math.max(...measuredTimes.map((computeTimes, rank) => shareMs(computeTimes, counts[rank] ?? 0)));
}

/**
 * Returns the number of shards for each worker, at least one each, that minimizes the time of the slowest worker. The shards are assigned
 * one at a time. Each shard goes to the worker that would finish first with this shard. The result is optimal: when the slowest worker got
 * its last shard, no other worker would have finished earlier with this shard, and all shards are equal. Cost: O(shards * workers).
 */
export function assignShards(shards: number, measuredTimes: readonly ComputeTimes[]): number[] {
  const workers = measuredTimes.length;
  invariant(workers > 0 && workers <= shards, `${shards} shards for ${workers} workers`);
  const counts = measuredTimes.map(() => 1);
  for (let assigned = workers; assigned < shards; assigned++) {
    let [best, bestMs] = [0, Number.POSITIVE_INFINITY];
    for (const [rank, computeTimes] of measuredTimes.entries()) {
      const ms = shareMs(computeTimes, (counts[rank] ?? 0) + 1);
      if (ms < bestMs) [best, bestMs] = [rank, ms];
    }
    counts[best] = (counts[best] ?? 0) + 1;
  }
  return counts;
}

function shareMs({ shardMs, updateMs }: ComputeTimes, count: number): number {
  return updateMs + count * shardMs;
}
