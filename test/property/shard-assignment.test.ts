import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assignShards, slowestMs, type Throughput } from '../../src/coordinator/shard-assignment.js';

/** Every way to give `shards` to `workers`, at least one each. */
function* dealings(shards: number, workers: number): Generator<number[]> {
  if (workers === 1) yield [shards];
  else
    for (let own = 1; own <= shards - workers + 1; own++)
      for (const rest of dealings(shards - own, workers - 1)) yield [own, ...rest];
}

const pace = fc.record({
  shardMs: fc.double({ min: 0, max: 100, noNaN: true }),
  updateMs: fc.double({ min: 0, max: 100, noNaN: true }),
});

describe('a dealing by pace', () => {
  it('gives every shard once, at least one to each worker, and no other makes the slowest faster', () => {
    fc.assert(
      fc.property(fc.array(pace, { minLength: 1, maxLength: 4 }), fc.nat(6), (paces: Throughput[], spare) => {
        const shards = paces.length + spare;
        const counts = assignShards(shards, paces);
        expect(counts).toHaveLength(paces.length);
        expect(Math.min(...counts)).toBeGreaterThanOrEqual(1);
        expect(counts.reduce((sum, count) => sum + count, 0)).toBe(shards);
        const best = Math.min(...[...dealings(shards, paces.length)].map((one) => slowestMs(one, paces)));
        expect(slowestMs(counts, paces)).toBe(best);
      }),
    );
  });

  it('follows the speeds: twice as slow, half as much', () => {
    const paces = [10, 20, 10].map((shardMs) => ({ shardMs, updateMs: 5 }));
    expect(assignShards(10, paces)).toEqual([4, 2, 4]);
    expect(slowestMs([4, 2, 4], paces)).toBe(45);
  });
});
