/**
 * How many shards each worker should own when they differ in speed. Owns that arithmetic; knows nothing of memberships.
 *
 * A worker's share of a step takes `updateMs + count * shardMs`; all wait for the slowest. So the best dealing has the
 * least maximum of these.
 */

import { invariant } from '../shared/errors.js';

/** What a worker's own computing takes, milliseconds, not counting any wait for another worker. */
export interface Throughput {
  /** Forward, loss and backward of one shard. */
  readonly shardMs: number;
  /** What every worker does once a step, whatever its share. */
  readonly updateMs: number;
}

/** Of the slowest worker. */
export function slowestMs(counts: readonly number[], paces: readonly Throughput[]): number {
  return Math.max(...paces.map((pace, rank) => shareMs(pace, counts[rank] ?? 0)));
}

/**
 * Shards for each worker, at least one each, such that the slowest is as fast as can be: one by one, to whoever would then be
 * done first. That is optimal for equal shards: in the last shard dealt to the slowest, every other choice was slower.
 */
export function assignShards(shards: number, paces: readonly Throughput[]): number[] {
  invariant(paces.length > 0 && paces.length <= shards, `${shards} shards for ${paces.length} workers`);
  const counts = paces.map(() => 1);
  for (let dealt = paces.length; dealt < shards; dealt++) {
    let [best, bestMs] = [0, Number.POSITIVE_INFINITY];
    for (const [rank, pace] of paces.entries()) {
      const ms = shareMs(pace, (counts[rank] ?? 0) + 1);
      if (ms < bestMs) [best, bestMs] = [rank, ms];
    }
    counts[best] = (counts[best] ?? 0) + 1;
  }
  return counts;
}

function shareMs({ shardMs, updateMs }: Throughput, count: number): number {
  return updateMs + count * shardMs;
}
