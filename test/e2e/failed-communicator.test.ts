import { join } from 'node:path';
import { expect, it } from 'vitest';
import { PeerLostError } from '../../src/shared/errors.js';
import type { ThreadCommunicator as Type } from '../../src/worker/communicator/thread-communicator.js';
import { openControlServer } from '../../src/shared/transport/zmq/control-server.js';
import { temporaryFolder } from '../support/lockstep.js';

// The communicator starts a thread from a built file.
const { ThreadCommunicator } = (await import(
  new URL('../../dist/worker/communicator/thread-communicator.js', import.meta.url).href
)) as { ThreadCommunicator: typeof Type };

it('answers whatever a worker asks after its run has failed with the reason of the failure', async () => {
  const endpoint = `ipc://${join(await temporaryFolder(), 'coordinator')}`;
  const server = await openControlServer(endpoint, 1_000_000);
  const communicator = new ThreadCommunicator({ coordinator: endpoint });
  const reason = new PeerLostError('Launcher lost: its process ended.');
  communicator.abandon(reason);
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
  await expect(communicator.openDataPlane(request)).rejects.toBe(reason);
  await communicator.close();
  await server.close();
});
