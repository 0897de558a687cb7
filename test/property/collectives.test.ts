import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CollectiveEngine } from '../../src/shared/collectives/collective-engine.js';
import type { CollectiveChoice } from '../../src/shared/collectives/cost.js';
import {
  bytesPerElement,
  vectorOver,
  type Vector,
  type VectorReduction,
} from '../../src/shared/collectives/reduction.js';
import type { Vectors } from '../../src/shared/collectives/vector-layout.js';
import { ProtocolError } from '../../src/shared/errors.js';
import { payloadOf, readHeader, type Frame } from '../../src/shared/protocol/frame.js';
import { consecutiveRanges, shardRanges } from '../../src/shared/sharding/ranges.js';
import type { Generation, Range, Rank } from '../../src/shared/sharding/identifiers.js';

interface Case {
  readonly ranges: readonly Range[];
  readonly shards: number;
  readonly reduction: VectorReduction;
  readonly elementCount: number;
  readonly seed: number;
  /** The host of each rank; default: all on one. */
  readonly hosts?: readonly string[];
  readonly collective?: CollectiveChoice;
  /** True if workers of a host read each other's vectors. */
  readonly shared?: boolean;
}

/** Values of shard `shard` in use `use`, the same whoever owns it. */
function fill(vector: Vector, { seed, reduction }: Case, shard: number, use: number): void {
  let state = (seed ^ (shard * 0x9e3779b9) ^ (use * 0x85ebca6b)) >>> 0;
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  for (let i = 0; i < vector.length; i++) vector[i] = next() * 10 ** Math.floor(next() * 6);
  if (reduction === 'moments') {
    vector[0] = shard % 3 === 2 ? 0 : 1 + (shard % 5);
    for (let i = 1 + (vector.length - 1) / 2; i < vector.length; i++) vector[i] = Math.abs(vector[i]!);
  }
}

/** Runs `uses` uses of one collective on `world` workers; frames arrive in an order that `pick` chooses, as they are then. */
function run(
  test: Case,
  uses: number,
  pick: (choices: number) => number,
  watch: (from: number, to: number, bytes: number) => void = () => undefined,
): Vector[][] {
  const { ranges, shards, reduction, elementCount } = test;
  const links = new Map<string, Frame[]>();
  const results: Vector[][] = ranges.map(() => []);
  const vector = (): Vector =>
    vectorOver(reduction, new ArrayBuffer(elementCount * bytesPerElement(reduction)));
  const buffers = ranges.map(({ start, end }) => ({
    inputs: Array.from({ length: end - start }, vector),
    output: vector(),
  }));
  const workers = ranges.map((range, rank) => {
    const send = (to: number, frame: Frame): void => {
      const link = `${rank}>${to}`;
      watch(
        rank,
        to,
        payloadOf(frame).reduce((total, part) => total + part.length, 0),
      );
      links.set(link, [...(links.get(link) ?? []), frame]);
    };
    const { inputs, output } = buffers[rank]!;
    let use = 0;
    const begin = (): void => {
      use++;
      inputs.forEach((vector, i) => fill(vector, test, range.start + i, use));
      engine.start(1, use);
    };
    const { hosts, collective } = test;
    const place = { rank: rank as Rank, shards, ranges, hosts, collective };
    const plan = { runTag: 7n, generation: 1 as Generation, ...place };
    const engine = new CollectiveEngine(plan, send, () => {
      results[rank]!.push(output.slice());
      if (use < uses) begin();
    });
    const near = ranges
      .map((_, other) => other as Rank)
      .filter((other) => test.shared === true && other !== rank && hosts?.[other] === hosts?.[rank]);
    engine.register(
      { id: 1, name: 'test', reduction, elementCount },
      { inputs, output },
      {
        readable: new Map(near.map((other) => [other, buffers[other] as unknown as Vectors])),
        readers: new Set(near),
      },
    );
    return { engine, begin };
  });
  for (const worker of workers) worker.begin();
  for (;;) {
    const waiting = [...links].filter(([, frames]) => frames.length > 0);
    const chosen = waiting[waiting.length > 1 ? pick(waiting.length) : 0];
    if (!chosen) return results;
    const [link, [frame, ...rest]] = chosen;
    links.set(link, rest);
    workers[Number(link.split('>')[1])]!.engine.receive(frame!);
  }
}

const lengths = [0, 1, 2, 15, 16, 17, 255, 10_000];

describe('an all-reduce', () => {
  const cases = fc.record({
    // Numbers of shards per worker: uneven, or none.
    counts: fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 9 }),
    last: fc.integer({ min: 1, max: 4 }),
    reduction: fc.constantFrom<VectorReduction>('sum-float32', 'sum-float64', 'sum-bfloat16'),
    elementCount: fc.constantFrom(...lengths),
    seed: fc.integer(),
    // True if a rank is on another host than the one before it.
    apart: fc.array(fc.boolean(), { minLength: 10, maxLength: 10 }),
    collective: fc.constantFrom<CollectiveChoice>('auto', 'direct', 'hierarchical'),
    memory: fc.boolean(),
  });
  const hostsFrom = (apart: readonly boolean[], count: number): string[] => {
    let host = 0;
    return apart.slice(0, count).map((other) => String(other ? ++host : host));
  };

  it('gives every rank the sum over all shards, with the same bits for any world size, shard assignment, hosts and order of arrival', () => {
    fc.assert(
      fc.property(cases, fc.infiniteStream(fc.nat()), ({ counts, last, apart, memory, ...rest }, order) => {
        const ranges = consecutiveRanges([...counts, last]);
        const shards = ranges.at(-1)!.end;
        const hosts = hostsFrom(apart, ranges.length);
        // Only float32 vectors lie in shared memory.
        const shared = memory && rest.reduction !== 'sum-float64';
        const test: Case = { ...rest, shards, ranges, hosts, shared };
        const uses = test.elementCount > 1000 ? 2 : 4;
        const pick = (choices: number): number => (order.next().value as number) % choices;
        const results = run(test, uses, pick);
        const alone = run({ ...test, ranges: shardRanges(shards, 1) }, uses, pick)[0]!;
        for (const [rank, outputs] of results.entries()) {
          expect(outputs, `rank ${rank}`).toHaveLength(uses);
          outputs.forEach((output, use) =>
            expect(Buffer.from(output.buffer).equals(Buffer.from(alone[use]!.buffer))).toBe(true),
          );
        }
        const exact = new Float64Array(test.elementCount);
        let scale = 0;
        for (let shard = 0; shard < test.shards; shard++) {
          const vector = vectorOver(
            test.reduction,
            new ArrayBuffer(test.elementCount * bytesPerElement(test.reduction)),
          );
          fill(vector, test, shard, 1);
          vector.forEach((value, i) => {
            exact[i]! += value;
            scale = Math.max(scale, Math.abs(value));
          });
        }
        const epsilon = {
          'sum-float32': 2 ** -23,
          'sum-bfloat16': 2 ** -8,
          'sum-float64': 2 ** -52,
          moments: 0,
        }[test.reduction];
        alone[0]!.forEach((value, i) =>
          expect(Math.abs(value - exact[i]!)).toBeLessThanOrEqual(epsilon * scale * test.shards * 4),
        );
      }),
      { numRuns: 200 },
    );
  });

  it('sends each partial of a host to another host once in two levels, between workers with common elements', () => {
    const [hosts, local, elementCount] = [3, 2, 9_600];
    const ranges = shardRanges(hosts * local, hosts * local);
    const common = {
      ranges,
      shards: hosts * local,
      elementCount,
      seed: 1,
      reduction: 'sum-float32',
    } as const;
    const far = (collective: CollectiveChoice): { pairs: Set<string>; bytes: number } => {
      const pairs = new Set<string>();
      let bytes = 0;
      const names = ranges.map((_, rank) => String(Math.floor(rank / local)));
      run(
        { ...common, hosts: names, collective },
        1,
        () => 0,
        (from, to, sent) => {
          if (names[from] === names[to]) return;
          pairs.add(`${from % local}>${to % local}`);
          bytes += sent;
        },
      );
      return { pairs, bytes };
    };
    expect(far('hierarchical')).toEqual({
      pairs: new Set(['0>0', '1>1']),
      bytes: hosts * 2 * (1 - 1 / hosts) * 4 * elementCount,
    });
    expect(far('direct').bytes).toBe(hosts * local * 2 * (4 / 6) * 4 * elementCount);
    expect(far('auto').bytes).toBe(far('hierarchical').bytes);
  });

  it('rounds every node of the tree to the nearest bfloat16, ties to even, and sends two bytes per element', () => {
    const values = [
      [1, 1 + 2 ** -8, 1 + 3 * 2 ** -8, -(1 + 2 ** -8 + 2 ** -20), 1e-40, Infinity],
      [1, 2 ** -8, 2 ** -20, 0, 0, -Infinity],
      [0, 2 ** -8, 0, 0, 0, 0],
    ];
    let bytes = 0;
    const links: [number, Frame][] = [];
    const outputs: Float32Array[] = [];
    const ranges = shardRanges(3, 2);
    const workers = ranges.map((range, rank) => {
      const output = new Float32Array(6);
      outputs.push(output);
      const plan = { runTag: 7n, generation: 1 as Generation, rank: rank as Rank, shards: 3, ranges };
      const engine = new CollectiveEngine(
        plan,
        (to, frame) => {
          bytes += payloadOf(frame).reduce((total, part) => total + part.length, 0);
          links.push([to, frame]);
        },
        () => undefined,
      );
      const inputs = values.slice(range.start, range.end).map((leaf) => Float32Array.from(leaf));
      const spec = { id: 1, name: 'test', reduction: 'sum-bfloat16', elementCount: 6 } as const;
      engine.register(spec, { inputs, output });
      return engine;
    });
    workers.forEach((engine) => engine.start(1, 1));
    for (const [to, frame] of links) workers[to]!.receive(frame);
    const smallest = new Float32Array(new Uint32Array([0x00010000]).buffer)[0]!;
    const expected = [2, 1, 1 + 2 ** -6, -(1 + 2 ** -7), smallest, Number.NaN];
    for (const output of outputs) expect([...output]).toEqual(expected);
    // One subtree of worker 0, two of worker 1.
    expect(bytes).toBe(2 * 6 * 3);
  });

  it('merges moments to those of one pass over all rows, without cancellation', () => {
    const shards = 7;
    const rows = Array.from({ length: shards }, (_, shard) =>
      Array.from({ length: shard === 4 ? 0 : 3 + shard }, (_, i) => 1e6 + Math.sin(shard * 31 + i)),
    );
    const ranges = shardRanges(shards, 3);
    const test: Case = { ranges, shards, reduction: 'moments', elementCount: 3, seed: 0 };
    const links: [number, Frame][] = [];
    const outputs: Float64Array[] = [];
    const workers = ranges.map((range, rank) => {
      const inputs = rows.slice(range.start, range.end).map((values) => {
        const mean = values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
        const m2 = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
        return Float64Array.from([values.length, values.length > 0 ? mean : 0, m2]);
      });
      const output = new Float64Array(3);
      outputs.push(output);
      const plan = { runTag: 7n, generation: 1 as Generation, rank: rank as Rank, shards, ranges };
      const engine = new CollectiveEngine(
        plan,
        (to, frame) => links.push([to, frame]),
        () => undefined,
      );
      engine.register(
        { id: 1, name: 'moments', reduction: test.reduction, elementCount: 3 },
        { inputs, output },
      );
      return engine;
    });
    workers.forEach((engine) => engine.start(1, 1));
    for (const [to, frame] of links) workers[to]!.receive(frame);
    const all = rows.flat();
    const mean = all.reduce((sum, value) => sum + value, 0) / all.length;
    const m2 = all.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    for (const [count, foundMean, foundM2] of outputs) {
      expect(count).toBe(all.length);
      expect(foundMean).toBeCloseTo(mean, 8);
      expect(foundM2! / m2).toBeCloseTo(1, 6);
    }
  });

  it('refuses frames that are repeated, stale or of the wrong size, and still completes', () => {
    const sent: Frame[] = [];
    let finished = 0;
    const ranges = shardRanges(2, 2);
    const plan = { runTag: 7n, generation: 1 as Generation, rank: 0 as Rank, shards: 2, ranges };
    const engine = new CollectiveEngine(
      plan,
      () => undefined,
      () => finished++,
    );
    const peer = new CollectiveEngine(
      { ...plan, rank: 1 as Rank },
      (_, frame) => sent.push(frame),
      () => undefined,
    );
    const buffers = () => ({ inputs: [new Float32Array([1, 2])], output: new Float32Array(2) });
    const spec = { id: 1, name: 'test', reduction: 'sum-float32', elementCount: 2 } as const;
    const mine = buffers();
    engine.register(spec, mine);
    peer.register(spec, buffers());
    peer.start(1, 1);
    engine.receive(sent[0]!);
    expect(() => engine.receive(sent[0]!)).toThrow(ProtocolError);
    engine.start(1, 1);
    expect(finished).toBe(1);
    expect([...mine.output]).toEqual([2, 4]);
    expect(() => engine.receive(sent[0]!)).toThrow(/expected round 2 or 3, got round 1/);
    expect(readHeader(sent[0]!).sequence).toBe(1);
  });
});
