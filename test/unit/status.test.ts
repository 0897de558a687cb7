import { describe, expect, it } from 'vitest';
import { initialState } from '../../src/coordinator/initial-state.js';
import { emitStatus, statusIsDue, withTimes } from '../../src/coordinator/status.js';
import type { State, WorkerRecord } from '../../src/coordinator/types.js';
import { WorkerTable } from '../../src/coordinator/worker-table.js';
import { newWorker } from '../../src/coordinator/workers.js';
import type { MessageOf, WorkerMessage } from '../../src/shared/protocol/messages.js';
import { noTimes } from '../../src/shared/timeline/step-parts.js';
import { CoordinatedRun } from '../support/coordinated-run.js';
import { runEvent } from '../support/run-events.js';

function worker(connection: string, pid: number, rank: number | null): WorkerRecord {
  const workerId = `00000000-0000-4000-8000-00000000000${pid}`;
  const join = { type: 'join', protocol: 1, workerId, pid, host: 'box', workerSlot: String(pid) } as const;
  if (rank === null) return newWorker(connection, join, { state: 'loading' }, 0);
  const ready = new CoordinatedRun().beingReady(connection);
  const shards = { start: rank, end: 2 * rank + 3 };
  return newWorker(connection, join, { state: 'running', ready, rank, shards }, 0);
}

function stateOf(...workers: WorkerRecord[]): State {
  const { runId, config } = runEvent();
  const initial = initialState(
    {
      runId,
      config,
      host: 'box',
      definition: { path: '/c.ts', sha256: '', entry: 'c.ts', files: {} },
      fingerprint: {},
      socketDirectory: null,
      out: null,
      resume: null,
      inherited: null,
    },
    0,
  );
  return { ...initial, workers: WorkerTable.of(workers) };
}

const committed = (forward: number): MessageOf<WorkerMessage, 'committed'> => ({
  type: 'committed',
  generation: 1,
  step: 1,
  epoch: 1,
  loss: 1,
  learningRate: 1,
  times: { ...noTimes(), forward },
});

describe('the status', () => {
  it('is due once per second while a worker is connected', () => {
    expect(statusIsDue(stateOf(), 5000)).toBe(false);
    const state = stateOf(worker('a', 1, null));
    expect(statusIsDue(state, 999)).toBe(false);
    expect(statusIsDue(state, 1000)).toBe(true);
    expect(statusIsDue(emitStatus(state, 1000).state, 1500)).toBe(false);
  });

  it('is due at the interval that the configuration sets', () => {
    const state = stateOf(worker('a', 1, null));
    const slow: State = { ...state, config: { ...state.config, statusMs: 60_000 } };
    expect(statusIsDue(slow, 59_999)).toBe(false);
    expect(statusIsDue(slow, 60_000)).toBe(true);
  });

  it('contains the mean times per step since the last status, once', () => {
    const first = worker('a', 1, 0);
    const one = { ...first, recent: withTimes(first, committed(10)) };
    const two = { ...one, recent: withTimes(one, committed(20)) };
    const { state, actions } = emitStatus(stateOf(two), 1000);
    const parts = { ...noTimes(), forward: 15 };
    expect(actions).toMatchObject([
      { kind: 'emit', event: { event: 'status', workers: [{ rank: 0, parts }] } },
    ]);
    expect(emitStatus(state, 2000).actions).toMatchObject([{ event: { workers: [{ parts: null }] } }]);
  });

  it('contains the shards of each member, and lists workers without a rank last', () => {
    const { actions } = emitStatus(stateOf(worker('c', 3, null), worker('b', 2, 1), worker('a', 1, 0)), 1000);
    expect(actions).toMatchObject([
      {
        event: {
          workers: [
            { rank: 0, pid: 1, shards: 3 },
            { rank: 1, pid: 2, shards: 4 },
            { rank: null, pid: 3, shards: 0, state: 'loading' },
          ],
        },
      },
    ]);
  });
});
