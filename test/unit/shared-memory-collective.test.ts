import { homedir } from 'node:os';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  SharedMemoryCollective,
  SmallVectorLayout,
  type SharedMemoryGroup,
} from '../../src/shared/collectives/shared-memory-collective.js';
import { smallBytes } from '../../src/shared/collectives/vector-layout.js';
import { type CollectiveSpec } from '../../src/shared/collectives/collective-spec.js';
import { Mesh, oneHopBytes } from '../../src/shared/collectives/mesh.js';
import { loadNativeMemory } from '../../src/shared/memory/native-memory.js';
import { shardRanges } from '../../src/shared/sharding/ranges.js';
import { asGeneration, asRank } from '../../src/shared/sharding/identifiers.js';
import { engineHost, findMemoryAddon } from '../../src/worker/engine/cache.js';

const native = loadNativeMemory(findMemoryAddon(engineHost(process.env, homedir())));

function futex(): SharedMemoryGroup['futex'] {
  if (!native?.publish || !native.await) throw new Error('the engine was installed without its addon');
  return { publish: native.publish, await: native.await };
}

interface World {
  readonly shards: number;
  readonly workers: number;
  readonly generation?: number;
  readonly rooms?: readonly ArrayBuffer[];
}

const spec: CollectiveSpec = { id: 3, name: 'sums', reduction: 'sum-float32', elementCount: 5 };

/** All workers of a world in this thread: each starts, then each waits, so that no wait has to block. */
function world({ shards, workers, generation = 1, rooms = [] }: World) {
  const memory = Array.from({ length: workers }, (_, rank) => rooms[rank] ?? new ArrayBuffer(smallBytes));
  const members = memory.map((_, rank) => {
    const plan = {
      runTag: 1n,
      generation: asGeneration(generation),
      rank: asRank(rank),
      shards,
      ranges: shardRanges(shards, workers),
    };
    const mesh = new Mesh(plan);
    const place = new SmallVectorLayout().add(mesh, spec);
    if (!place) throw new Error('no room');
    const local = mesh.localShards;
    const inputs = Array.from({ length: local.end - local.start }, () => new Float32Array(spec.elementCount));
    const output = new Float32Array(spec.elementCount);
    const check = (): void => {
      throw new Error('ended');
    };
    const group = {
      mesh,
      futex: futex(),
      regions: memory,
      generation: plan.generation,
      check,
      waiting: () => undefined,
    };
    return {
      local,
      inputs,
      output,
      collective: new SharedMemoryCollective(group, spec, { inputs, output }, place),
    };
  });
  return {
    memory,
    members,
    use: (shardValues: readonly (readonly number[])[]): number[][] => {
      for (const { local, inputs, collective } of members) {
        inputs.forEach((vector, i) => vector.set(shardValues[local.start + i] ?? []));
        collective.start();
      }
      return members.map(({ collective, output }) => {
        collective.wait();
        return [...output];
      });
    },
  };
}

describe('small vectors through shared memory', () => {
  it('have the bits of a single worker in every round', () => {
    const vector = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), {
      minLength: 5,
      maxLength: 5,
    });
    const cases = fc.integer({ min: 1, max: 9 }).chain((shards) =>
      fc.record({
        shards: fc.constant(shards),
        workers: fc.integer({ min: 1, max: Math.min(4, shards) }),
        uses: fc.array(fc.array(vector, { minLength: shards, maxLength: shards }), {
          minLength: 1,
          maxLength: 4,
        }),
      }),
    );
    fc.assert(
      fc.property(cases, ({ shards, workers, uses }) => {
        const [alone, together] = [world({ shards, workers: 1 }), world({ shards, workers })];
        for (const values of uses) {
          const [expected] = alone.use(values);
          for (const result of together.use(values)) expect(result).toEqual(expected);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('wait for a round of their own generation and ignore values of an earlier one', () => {
    const before = world({ shards: 2, workers: 2 });
    before.use([[1], [2]]);
    before.use([[1], [2]]);
    const after = world({ shards: 2, workers: 2, generation: 2, rooms: before.memory });
    const [first] = after.members;
    first?.collective.start();
    expect(() => first?.collective.wait()).toThrow('ended');
  });

  it('are not used for large vectors, or if the region is full', () => {
    const plan = {
      runTag: 1n,
      generation: asGeneration(1),
      rank: asRank(0),
      shards: 2,
      ranges: shardRanges(2, 2),
    };
    const mesh = new Mesh(plan);
    const layout = new SmallVectorLayout();
    const longest = oneHopBytes / 4;
    expect(layout.add(mesh, { ...spec, elementCount: longest + 1 })).toBeUndefined();
    expect(layout.add(mesh, { ...spec, id: 100_000 })).toBeUndefined();
    let places = 0;
    while (layout.add(mesh, { ...spec, elementCount: longest })) places++;
    expect(places).toBeGreaterThan(500);
    expect(places * 2 * oneHopBytes).toBeLessThanOrEqual(smallBytes);
  });
});
