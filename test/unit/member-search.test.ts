import { describe, expect, it } from 'vitest';
import { MemberSearch, type MemberSearchOptions } from '../../src/coordinator/member-search.js';
import { decodeCoordinatorMessage, encodeMessage } from '../../src/shared/protocol/codec.js';
import type { CoordinatorMessage, WorkerMessage } from '../../src/shared/protocol/messages.js';
import type { ControlServer, ControlServerEvents } from '../../src/shared/transport/transport.js';
import { CoordinatedRun, runId } from '../support/coordinated-run.js';

const anotherRun = '00000000-0000-4000-8000-000000000001';

/** A control server whose connections are the test. */
class FakeServer implements ControlServer {
  readonly endpoint = 'tcp://127.0.0.1:1';
  readonly sent: [string, CoordinatorMessage][] = [];
  #events: ControlServerEvents | undefined;

  listen(events: ControlServerEvents): void {
    this.#events = events;
  }

  send(to: string, bytes: Buffer): void {
    this.sent.push([to, decodeCoordinatorMessage(bytes, 'the search')]);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  receive(from: string, message: WorkerMessage): void {
    this.#events?.message(from, encodeMessage(message));
  }
}

const run = new CoordinatedRun();
const heartbeat: WorkerMessage = { type: 'heartbeat', generation: 1, ticks: 1, waitingFor: '' };
const rejoin = (id: string): WorkerMessage => ({
  type: 'rejoin',
  runId: id,
  generation: 1,
  rank: 0,
  worldSize: 2,
  join: run.joining(1),
  ready: run.beingReady('a'),
});

function begin(change: Partial<MemberSearchOptions> = {}) {
  const server = new FakeServer();
  const search = new MemberSearch(server);
  const warnings: string[] = [];
  const found = search.search({
    runId,
    usualMs: 0,
    mostMs: 60_000,
    workers: 2,
    isHopeless: () => false,
    warn: (message) => warnings.push(message),
    ...change,
  });
  return { server, search, warnings, found };
}

describe('the search for members of a run', () => {
  it('asks each connection once, and ends with the first member of the run', async () => {
    const { server, found } = begin();
    for (const from of ['a', 'b', 'a', 'b']) server.receive(from, heartbeat);
    expect(server.sent).toEqual([
      ['a', { type: 'identify' }],
      ['b', { type: 'identify' }],
    ]);
    server.receive('a', rejoin(runId));
    expect(await found).toBe(true);
  });

  it('refuses a member of another run by name', async () => {
    const { server, found, warnings } = begin();
    server.receive('x', rejoin(anotherRun));
    const message = `Worker 1 on box refused: expected a member of run ${runId}, got one of run ${anotherRun}.`;
    expect(server.sent).toEqual([
      [
        'x',
        {
          type: 'abort',
          error: { code: 'STALE_GENERATION', message: expect.stringContaining(message) as string },
        },
      ],
    ]);
    expect(warnings).toEqual([expect.stringContaining(message)]);
    server.receive('a', rejoin(runId));
    expect(await found).toBe(true);
  });

  it('ends when as many workers have joined as the run needs, and hands them over', async () => {
    const { server, search, found } = begin();
    server.receive('a', run.joining(1));
    server.receive('b', run.joining(2));
    expect(await found).toBe(false);
    const received: string[] = [];
    const nothing = (): void => undefined;
    const message = (from: string): void => void received.push(from);
    search.listen({ message, disconnected: nothing, unreachable: nothing });
    server.receive('c', run.joining(3));
    expect(received).toEqual(['a', 'b', 'c']);
  });

  it('ends when no worker of the run can be alive, and when the time is over', async () => {
    expect(await begin({ isHopeless: () => true }).found).toBe(false);
    expect(await begin({ mostMs: 1 }).found).toBe(false);
  });

  it('waits for a member at least for the usual time although other workers have joined', async () => {
    const { server, found } = begin({ usualMs: 60_000 });
    server.receive('b', run.joining(2));
    server.receive('c', run.joining(3));
    server.receive('a', rejoin(runId));
    expect(await found).toBe(true);
  });
});
