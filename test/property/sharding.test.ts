import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Sampler } from '../../src/shared/data/sampler.js';
import { chunkRange, partition, shardRanges } from '../../src/shared/sharding/ranges.js';
import { foldTree, maximalSubtrees, rootLevel } from '../../src/shared/sharding/tree.js';

const shardsAndWorld = fc
  .integer({ min: 1, max: 64 })
  .chain((shards) => fc.record({ shards: fc.constant(shards), world: fc.integer({ min: 1, max: shards }) }));

describe('sharding', () => {
  it('divides samples into slices that are disjoint and cover all of them', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 5000 }), fc.integer({ min: 1, max: 300 }), (total, parts) => {
        let next = 0;
        for (let part = 0; part < parts; part++) {
          const { start, end } = partition(total, parts, part);
          expect(start).toBe(next);
          expect(end - start).toBeGreaterThanOrEqual(Math.floor(total / parts));
          expect(end - start).toBeLessThanOrEqual(Math.ceil(total / parts));
          next = end;
        }
        expect(next).toBe(total);
      }),
    );
  });

  it('divides vectors into chunks at cache lines that cover all elements', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 5000 }), fc.integer({ min: 1, max: 9 }), (count, owners) => {
        let next = 0;
        for (let owner = 0; owner < owners; owner++) {
          const { start, end } = chunkRange(count, owners, owner);
          expect(start).toBe(next);
          if (end < count) expect(end % 16).toBe(0);
          next = end;
        }
        expect(next).toBe(count);
      }),
    );
  });

  it('covers exactly the shards of a range by at most 2 * log2(shards) aligned subtrees', () => {
    fc.assert(
      fc.property(shardsAndWorld, ({ shards, world }) => {
        for (const range of shardRanges(shards, world)) {
          const nodes = maximalSubtrees(range, shards);
          const covered = nodes.flatMap(({ level, index }) =>
            Array.from({ length: 2 ** level }, (_, i) => index * 2 ** level + i).filter(
              (shard) => shard < shards,
            ),
          );
          expect(covered).toEqual(Array.from({ length: range.end - range.start }, (_, i) => range.start + i));
          expect(nodes.length).toBeLessThanOrEqual(2 * Math.max(1, rootLevel(shards)));
        }
      }),
    );
  });

  it('combines in the same order for every assignment of shards', () => {
    fc.assert(
      fc.property(shardsAndWorld, ({ shards, world }) => {
        const combine = (left: string, right: string): string => `(${left} ${right})`;
        const root = { level: rootLevel(shards), index: 0 };
        const leaf = ({ level, index }: { level: number; index: number }) =>
          level === 0 ? String(index) : undefined;
        const alone = foldTree(root, shards, leaf, combine);
        const partials = new Map<string, string>();
        for (const range of shardRanges(shards, world)) {
          for (const node of maximalSubtrees(range, shards)) {
            partials.set(`${node.level}/${node.index}`, foldTree(node, shards, leaf, combine));
          }
        }
        const shared = foldTree(
          root,
          shards,
          ({ level, index }) => partials.get(`${level}/${index}`),
          combine,
        );
        expect(shared).toBe(alone);
      }),
    );
  });
});

describe('the sampler', () => {
  it('visits every sample exactly once per epoch, in a different order in each epoch', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 400 }),
        fc.integer({ min: 1, max: 70 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 0, max: 0xffffffff }),
        (count, batchSize, shards, seed) => {
          const sampler = new Sampler({ seed, count, batchSize, shards });
          const epochs = [0, 1].map((epoch) => {
            const seen: number[] = [];
            for (let i = 1; i <= sampler.stepsPerEpoch; i++) {
              const batch = sampler.plan(epoch * sampler.stepsPerEpoch + i);
              expect(batch).toMatchObject({ epoch, stepInEpoch: i });
              for (let shard = 0; shard < shards; shard++)
                seen.push(...sampler.indices(batch, sampler.slice(batch, shard)));
            }
            expect([...seen].sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, i) => i));
            return seen.join();
          });
          if (count > 20) expect(epochs[0]).not.toBe(epochs[1]);
        },
      ),
      { numRuns: 40 },
    );
  });
});
