import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Frame } from '../../src/shared/protocol/frame.js';
import { FaultyControlClient, FaultyDataPlane } from '../../src/worker/faults/faulty-transport.js';
import { MemoryControl, MemoryNetwork } from '../../src/shared/transport/memory.js';
import { asRank } from '../../src/shared/sharding/identifiers.js';

/** A frame is its sender's rank and a number. */
const frame = (rank: number, number: number): Buffer => Buffer.from([rank, number]);
const senderOf = ([bytes]: Frame): number | undefined => bytes?.[0];

function pair() {
  const network = new MemoryNetwork();
  const planes = [0, 1].map(() => new FaultyDataPlane(network.open(), senderOf));
  const [a, b] = planes as [FaultyDataPlane, FaultyDataPlane];
  const got: Record<'a' | 'b', number[]> = { a: [], b: [] };
  const connect = (plane: FaultyDataPlane, name: 'a' | 'b', rank: number, endpoint: string): void =>
    plane.connect([{ rank: asRank(rank), endpoint }], {
      frame: ([bytes = Buffer.of()]) =>
        got[name].push(bytes[0] === 1 - rank || bytes[0] === rank ? (bytes[1] ?? -1) : -1),
      disconnected: () => undefined,
    });
  const meet = (): void => {
    connect(a, 'a', 1, b.endpoint);
    connect(b, 'b', 0, a.endpoint);
  };
  meet();
  const all = async (...numbers: number[]): Promise<void> => {
    for (const number of numbers) a.send(asRank(1), [frame(0, number)]);
    await delivered();
  };
  return { a, b, got, all, meet };
}

/** Messages in memory arrive within two turns of the event loop. */
async function delivered(): Promise<void> {
  await new Promise(setImmediate);
  await new Promise(setImmediate);
}

// A fault's duration passes only when a test advances the clock.
beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

const one = asRank(1);

describe('a faulty link', () => {
  it.each([
    ['drop', [1, 3]],
    ['duplicate', [1, 2, 2, 3]],
    ['corrupt', [1, -1, 3]],
  ] as const)('does one %s, and says with which message', async (kind, expected) => {
    const { a, got, all } = pair();
    await all(1);
    let fired = 0;
    expect(a.inject(one, { kind, ms: 0 }, () => fired++)).toBe(true);
    expect(fired).toBe(0);
    await all(2);
    expect(fired).toBe(1);
    await all(3);
    expect([fired, got.b]).toEqual([1, expected]);
  });

  it('delays messages until its time is over and keeps their order', async () => {
    const { a, b, got, all } = pair();
    a.inject(one, { kind: 'delay', ms: 30 }, () => undefined);
    await all(1, 2);
    // The other way stays open.
    b.send(asRank(0), [frame(1, 7)]);
    await delivered();
    expect([got.a, got.b]).toEqual([[7], []]);
    vi.advanceTimersByTime(29);
    await delivered();
    expect(got.b).toEqual([]);
    vi.advanceTimersByTime(1);
    await delivered();
    expect(got.b).toEqual([1, 2]);
    await all(3);
    expect(got.b).toEqual([1, 2, 3]);
  });

  it('delays both directions in a partition, and a new generation begins without the delayed messages', async () => {
    const { a, b, got, all, meet } = pair();
    a.inject(one, { kind: 'partition', ms: 60 }, () => undefined);
    await all(1);
    b.send(asRank(0), [frame(1, 7)]);
    await delivered();
    expect([got.a, got.b]).toEqual([[], []]);
    meet();
    await all(2);
    expect(got.b).toEqual([]);
    vi.advanceTimersByTime(60);
    await delivered();
    expect([got.a, got.b]).toEqual([[7], [2]]);
  });

  it('delays both directions of the connection to the coordinator too', async () => {
    const server = new MemoryControl();
    const client = new FaultyControlClient(server.client());
    const [up, down]: [string[], string[]] = [[], []];
    let id = '';
    server.listen({
      message: (from, bytes) => {
        id = from;
        up.push(Buffer.from(bytes).toString());
      },
      disconnected: () => undefined,
      unreachable: () => undefined,
    });
    client.connect({
      message: (bytes) => down.push(Buffer.from(bytes).toString()),
      disconnected: () => undefined,
      refused: () => undefined,
    });
    client.send(Buffer.from('one'));
    await delivered();
    client.inject({ kind: 'partition', ms: 30 }, () => undefined);
    client.send(Buffer.from('two'));
    server.send(id, Buffer.from('answer'));
    await delivered();
    expect([up, down]).toEqual([['one'], []]);
    vi.advanceTimersByTime(30);
    await delivered();
  });
});
