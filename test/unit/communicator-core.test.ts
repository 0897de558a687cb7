import { connect } from 'node:net';
import { expect, it, onTestFinished, vi } from 'vitest';
import { openDataPlane } from '../../src/shared/transport/zmq/data-plane.js';
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

it('a worker that is told to stop while it opens its sockets leaves none open, which would keep its process alive', async () => {
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
  // Nobody listens there any more.
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
  await eventually('nobody to listen', async () => (await answer()) === 'ECONNREFUSED');
  // Nor does it speak, however long it is closed.
  vi.advanceTimersByTime(100 * request.heartbeatMs);
  expect(sent).toEqual([]);
});
