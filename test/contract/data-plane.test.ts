import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { MemoryNetwork } from '../../src/shared/transport/memory.js';
import type { DataPlane } from '../../src/shared/transport/transport.js';
import { openDataPlane } from '../../src/shared/transport/zmq/data-plane.js';
import type { Rank } from '../../src/shared/sharding/identifiers.js';

const maxFrameBytes = 64 * 1024 * 1024;
let folder: string | undefined;
let network = new MemoryNetwork();
const open: DataPlane[] = [];

const transports: Readonly<Record<string, () => Promise<DataPlane>>> = {
  memory: () => Promise.resolve(network.open()),
  'ZeroMQ over ipc': () => {
    // Not awaited: two planes that open at once must not make two folders.
    folder ??= mkdtempSync(join(tmpdir(), 'lockstep-plane-'));
    return openDataPlane({ socketDirectory: folder, host: '127.0.0.1', maxFrameBytes });
  },
  'ZeroMQ over TCP with keys': () =>
    openDataPlane({ socketDirectory: null, host: '127.0.0.1', maxFrameBytes, secure: true }),
  'ZeroMQ over TCP': () => openDataPlane({ socketDirectory: null, host: '127.0.0.1', maxFrameBytes }),
};

afterEach(async () => {
  await Promise.all(open.splice(0).map((plane) => plane.close()));
  network = new MemoryNetwork();
  if (folder !== undefined) {
    await rm(folder, { recursive: true, force: true });
    folder = undefined;
  }
});

/** `count` planes that know each other, each with the frames that it received and a way to wait for more. */
async function mesh(make: () => Promise<DataPlane>, count: number) {
  const planes = await Promise.all(Array.from({ length: count }, make));
  open.push(...planes);
  return planes.map((plane, own) => {
    const frames: Buffer[] = [];
    const parts: number[] = [];
    const lost: Rank[] = [];
    let wake = (): void => undefined;
    const peers = planes
      .map(({ endpoint, publicKey }, rank) => ({ endpoint, publicKey, rank: rank as Rank }))
      .filter(({ rank }) => rank !== own);
    plane.connect(peers, {
      frame: (frame) => {
        frames.push(Buffer.concat(frame));
        parts.push(frame.length);
        wake();
      },
      disconnected: (rank) => {
        lost.push(rank);
        wake();
      },
    });
    const until = async (done: () => boolean): Promise<void> => {
      while (!done()) await new Promise<void>((resolve) => (wake = resolve));
    };
    return { plane, frames, parts, lost, until };
  });
}

describe.each(Object.entries(transports))('the data plane: %s', (_, make) => {
  it('delivers every frame of every sender once, in the order of its sender', async () => {
    const workers = await mesh(make, 3);
    const count = 200;
    for (let i = 0; i < count; i++) {
      for (const [own, { plane }] of workers.entries()) {
        for (const to of [0, 1, 2])
          if (to !== own) plane.send(to as Rank, [Buffer.from([own, i & 0xff, i >> 8])]);
      }
    }
    for (const [own, { frames, until }] of workers.entries()) {
      await until(() => frames.length >= 2 * count);
      for (const sender of [0, 1, 2].filter((rank) => rank !== own)) {
        const numbers = frames
          .filter((frame) => frame[0] === sender)
          .map((frame) => frame[1]! + 256 * frame[2]!);
        expect(numbers).toEqual(Array.from({ length: count }, (_, i) => i));
      }
    }
  });

  it('delivers large frames whole, in one part or in several', async () => {
    const [one, other] = await mesh(make, 2);
    const frame = Buffer.alloc(9_000_001, 'lockstep');
    one!.plane.send(1 as Rank, [frame]);
    one!.plane.send(1 as Rank, [
      frame.subarray(0, 64),
      frame.subarray(64, 5_000_001),
      frame.subarray(5_000_001),
    ]);
    await other!.until(() => other!.frames.length === 2);
    expect(other!.parts).toEqual([1, 3]);
    for (const received of other!.frames) expect(received.equals(frame)).toBe(true);
  });

  it('reports a closed plane to the others, and delivers the frames that were sent before', async () => {
    const [one, other] = await mesh(make, 2);
    other!.plane.send(0 as Rank, [Buffer.from('first')]);
    one!.plane.send(1 as Rank, [Buffer.from('last words')]);
    await other!.until(() => other!.frames.length === 1);
    await one!.plane.close();
    await other!.until(() => other!.lost.length > 0);
    expect(other!.frames[0]!.toString()).toBe('last words');
    expect(other!.lost[0]).toBe(0);
  });
});

describe('a data plane with keys', () => {
  it('accepts connections of its peers only, and none before it has peers', async () => {
    const make = () =>
      openDataPlane({ socketDirectory: null, host: '127.0.0.1', maxFrameBytes, secure: true });
    const [one, other, stranger] = await Promise.all([make(), make(), make()]);
    open.push(one, other, stranger);
    const frames: string[] = [];
    let arrived = (): void => undefined;
    const quiet = { frame: () => undefined, disconnected: () => undefined };
    const towards = { rank: 0 as Rank, endpoint: one.endpoint, publicKey: one.publicKey };
    const refused = new Promise<void>((resolve) =>
      stranger.connect([towards], { ...quiet, disconnected: () => resolve() }),
    );
    stranger.send(0 as Rank, [Buffer.from('stranger')]);
    other.connect([towards], quiet);
    other.send(0 as Rank, [Buffer.from('peer')]);
    const first = new Promise<void>((resolve) => (arrived = resolve));
    one.connect([{ rank: 1 as Rank, endpoint: other.endpoint, publicKey: other.publicKey }], {
      frame: (frame) => {
        frames.push(frame.toString());
        arrived();
      },
      disconnected: () => undefined,
    });
    await Promise.all([first, refused]);
    expect(frames).toEqual(['peer']);
  });
});
