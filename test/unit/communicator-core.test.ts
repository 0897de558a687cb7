import { connect } from 'node:net';
import { expect, it, onTestFinished, vi } from 'vitest';
import { MemoryNetwork } from '../../src/shared/transport/memory.js';
import type { ControlClientEvents, DataPlaneEvents } from '../../src/shared/transport/transport.js';
import { openDataPlane } from '../../src/shared/transport/zmq/data-plane.js';
import { encodeMessage } from '../../src/shared/protocol/codec.js';
import { headerBytes, writeHeader } from '../../src/shared/protocol/frame.js';
import { ConfigError, toWireError } from '../../src/shared/errors.js';
import type { Plan } from '../../src/shared/protocol/messages.js';
import { GenerationEnded } from '../../src/worker/communicator/generation-ended.js';
import { CommunicatorCore } from '../../src/worker/communicator/communicator-core.js';
import { eventually } from '../support/eventually.js';

const unheard = {
  message: () => undefined,
  finished: () => undefined,
  failed: (error: Error) => {
    throw error;
  },
  ended: () => undefined,
  refused: () => undefined,
  ticks: () => 0,
  waiting: () => 0,
};
const request = {
  runId: '00000000-0000-4000-8000-000000000000',
  socketDirectory: null,
  maxFrameBytes: 1_000,
  sharedMemory: false,
  collective: 'auto',
  trace: false,
  heartbeatMs: 50,
  coordinatorTimeoutMs: 60_000,
} as const;

const plan: Plan = {
  generation: 1,
  rank: 0,
  shards: 1,
  workers: [
    { rank: 0, shards: { start: 0, end: 1 }, endpoint: 'memory://0', memory: null, pid: 1, host: 'box' },
  ],
  step: 0,
  source: null,
  restore: null,
  out: null,
  writer: 0,
  evaluated: { step: 0, splits: [] },
};

it('reports why the coordinator ended, even if the end of the connection arrives before the reason', async () => {
  const failed = vi.fn<(error: Error) => void>();
  const core = new CommunicatorCore(
    {
      control: {
        connect: (events) => {
          events.disconnected();
          const error = toWireError(new ConfigError('Model refused: it has no layer.'));
          setTimeout(() => events.message(encodeMessage({ type: 'abort', error })), 20);
        },
        send: () => undefined,
        close: () => Promise.resolve(),
      },
      openDataPlane: () => Promise.reject(new Error('not used')),
    },
    { ...unheard, failed },
  );
  await eventually('the failure', () => failed.mock.calls.length > 0);
  expect(failed.mock.calls).toEqual([[new ConfigError('Model refused: it has no layer.')]]);
  await core.close();
});

it('waits for a new coordinator if it becomes a member just after the end of the connection', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  const failed = vi.fn<(error: Error) => void>();
  let disconnect = (): void => undefined;
  const core = new CommunicatorCore(
    {
      control: {
        connect: ({ disconnected }) => (disconnect = disconnected),
        send: () => undefined,
        close: () => Promise.resolve(),
      },
      openDataPlane: () => Promise.resolve(new MemoryNetwork().open()),
    },
    { ...unheard, failed },
  );
  onTestFinished(() => core.close());
  await core.openDataPlane(request);
  disconnect();
  // The plan was one of the last messages of the connection.
  expect(await core.join(plan)).toBe(true);
  vi.advanceTimersByTime(request.coordinatorTimeoutMs / 2);
  expect(failed).not.toHaveBeenCalled();
});

it('leaves no socket open if it is closed while it opens one', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  onTestFinished(() => void vi.useRealTimers());
  const sent: unknown[] = [];
  let closed = 0;
  const core = new CommunicatorCore(
    {
      control: {
        connect: () => undefined,
        send: (bytes) => sent.push(bytes),
        close: () => Promise.resolve(),
      },
      openDataPlane: async ({ socketDirectory, maxFrameBytes }) => {
        const plane = await openDataPlane({ socketDirectory, maxFrameBytes, host: '127.0.0.1' });
        return {
          endpoint: plane.endpoint,
          connect: (...given) => plane.connect(...given),
          send: (...given) => plane.send(...given),
          close: async () => {
            closed++;
            await plane.close();
          },
        };
      },
    },
    unheard,
  );
  const opening = core.openDataPlane(request);
  await core.close();
  const { endpoint } = await opening;
  expect(closed).toBe(1);
  // No process listens at the endpoint any more.
  const { port } = new URL(endpoint.replace('tcp:', 'http:'));
  const answer = (): Promise<string | undefined> =>
    new Promise((resolve) => {
      const socket = connect(Number(port), '127.0.0.1')
        .once('connect', () => {
          socket.destroy();
          resolve('connected');
        })
        .once('error', (error: NodeJS.ErrnoException) => resolve(error.code));
    });
  // ZeroMQ closes it in a thread of its own.
  await eventually('the connection is refused', async () => (await answer()) === 'ECONNREFUSED');
  // A closed communicator sends no heartbeats.
  vi.advanceTimersByTime(100 * request.heartbeatMs);
  expect(sent).toEqual([]);
});

it('reports the first failure only, and joins no generation after it', async () => {
  const failures: string[] = [];
  let deliver: (bytes: Uint8Array) => void = () => undefined;
  const core = new CommunicatorCore(
    {
      control: {
        connect: ({ message }) => (deliver = message),
        send: () => undefined,
        close: () => Promise.resolve(),
      },
      openDataPlane: () => Promise.resolve(new MemoryNetwork().open()),
    },
    { ...unheard, failed: ({ message }) => failures.push(message) },
  );
  onTestFinished(() => core.close());
  await core.openDataPlane(request);
  expect(await core.join(plan)).toBe(true);
  const abort = (message: string): Uint8Array =>
    encodeMessage({ type: 'abort', error: { code: 'PEER_LOST', message } });
  deliver(abort('first'));
  // These requests of the main thread were sent before it was informed.
  core.send({ type: 'finished', generation: 1, steps: 0, weightsSha256: '0'.repeat(64) });
  await expect(core.join({ ...plan, generation: 2 })).rejects.toThrow(GenerationEnded);
  deliver(abort('second'));
  core.send({ type: 'failed', error: { code: 'PEER_LOST', message: 'first' } });
  deliver(abort('third'));
  expect(failures).toEqual(['first']);
});

it('drops late frames of a generation that has ended, and reports frames of later generations and of other runs', async () => {
  const refused = vi.fn<(error: Error) => void>();
  let control: ControlClientEvents | undefined;
  let data: DataPlaneEvents | undefined;
  const core = new CommunicatorCore(
    {
      control: {
        connect: (events) => (control = events),
        send: () => undefined,
        close: () => Promise.resolve(),
      },
      openDataPlane: () =>
        Promise.resolve({
          endpoint: 'memory://0',
          publicKey: undefined,
          connect: (_peers, events) => (data = events),
          send: () => undefined,
          close: () => Promise.resolve(),
        }),
    },
    { ...unheard, refused },
  );
  onTestFinished(() => core.close());
  await core.openDataPlane(request);
  const member = (rank: number) => ({
    rank,
    shards: { start: rank, end: rank + 1 },
    endpoint: `memory://${rank}`,
    memory: null,
    pid: 1 + rank,
    host: 'box',
  });
  const joining = core.join({ ...plan, shards: 2, workers: [member(0), member(1)] });
  control?.message(encodeMessage({ type: 'stop_generation', generation: 1 }));
  await expect(joining).rejects.toThrow(GenerationEnded);

  const receive = (generation: number, runTag: bigint): void => {
    const frame = [Buffer.alloc(headerBytes)];
    writeHeader(frame, {
      phase: 'all-gather',
      sender: 1,
      runTag,
      generation,
      collective: 1,
      sequence: 1,
      step: 1,
      encoding: 'plain',
    });
    data?.frame(frame);
  };
  // The first eight bytes of a run's id.
  const [ownRun, otherRun] = [0x4000n, 0x5000n];
  receive(1, ownRun);
  expect(refused).not.toHaveBeenCalled();
  receive(2, ownRun);
  receive(1, otherRun);
  expect(refused.mock.calls.map(([{ message }]) => message)).toEqual([
    'Frame from rank 1 refused: no generation has been joined.',
    'Frame from rank 1 refused: no generation has been joined.',
  ]);
});
