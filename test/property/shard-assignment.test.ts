import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assignShards, slowestMs, type ComputeTimes } from '../../src/coordinator/shard-assignment.js';

/** Every way to give `shards` to `workers`, at least one each. */
function* assignments(shards: number, workers: number): Generator<number[]> {
  if (workers === 1) yield [shards];
  else
    for (let own = 1; own <= shards - workers + 1; own++)
      for (const others of assignments(shards - own, workers - 1)) yield [own, ...others];
}

const computeTimes = fc.record({
  shardMs: fc.double({ min: 0, max: 100, noNaN: true }),
  updateMs: fc.double({ min: 0, max: 100, noNaN: true }),
});

describe('an assignment by compute times', () => {
  it('assigns every shard once, at least one to each worker, and minimizes the time of the slowest', () => {
    fc.assert(
      fc.property(
        fc.array(computeTimes, { minLength: 1, maxLength: 4 }),
        fc.nat(6),
        (measuredTimes: ComputeTimes[], spare) => {
          const shards = measuredTimes.length + spare;
          const counts = assignShards(shards, measuredTimes);
          expect(counts).toHaveLength(measuredTimes.length);
          expect(Math.min(...counts)).toBeGreaterThanOrEqual(1);
          expect(counts.reduce((sum, count) => sum + count, 0)).toBe(shards);
          const best = Math.min(
            ...[...assignments(shards, measuredTimes.length)].map((counts) =>
              slowestMs(counts, measuredTimes),
            ),
          );
          expect(slowestMs(counts, measuredTimes)).toBe(best);
        },
      ),
    );
  });

  it('gives half as many shards to a worker that is half as fast', () => {
    const measuredTimes = [10, 20, 10].map((shardMs) => ({ shardMs, updateMs: 5 }));
    expect(assignShards(10, measuredTimes)).toEqual([4, 2, 4]);
    expect(slowestMs([4, 2, 4], measuredTimes)).toBe(45);
  });
});
