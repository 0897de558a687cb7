import { describe, expect, it } from 'vitest';
import { initialState } from '../../src/coordinator/initial-state.js';
import { onHeartbeat } from '../../src/coordinator/member-reports.js';
import { emitStatus, statusIsDue, withTimes } from '../../src/coordinator/status.js';
import type { State, WorkerRecord } from '../../src/coordinator/types.js';
import { beginLoading } from '../../src/coordinator/loading.js';
import { WorkerTable } from '../../src/coordinator/worker-table.js';
import { measureCores, withUsage } from '../../src/coordinator/usage.js';
import { newWorker } from '../../src/coordinator/workers.js';
import type { MessageOf, WorkerMessage } from '../../src/shared/protocol/messages.js';
import { noTimes } from '../../src/shared/timeline/step-parts.js';
import { CoordinatedRun } from '../support/coordinated-run.js';
import { runEvent } from '../support/run-events.js';

function worker(connection: string, pid: number, rank: number | null): WorkerRecord {
  const workerId = `00000000-0000-4000-8000-00000000000${pid}`;
  const join = { type: 'join', protocol: 1, workerId, pid, host: 'box', workerSlot: String(pid) } as const;
  if (rank === null) return newWorker(connection, join, beginLoading(0), 0);
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

  it('contains the memory of a worker, and the cores that it has kept busy since the last status', () => {
    const usedOf = (state: State): unknown => {
      const [action] = emitStatus(state, 0).actions;
      return action?.kind === 'emit' && action.event.event === 'status' && action.event.workers[0]?.usage;
    };
    const beat = (state: State, cpuMs: number, uptimeMs: number): State => ({
      ...state,
      workers: state.workers.map((record) => ({
        ...record,
        usage: withUsage(record.usage, { cpuMs, uptimeMs, memoryBytes: 5_000 + cpuMs }),
      })),
    });
    const first = beat(stateOf(worker('a', 1, 0)), 7_000, 1_000);
    expect(usedOf(stateOf(worker('a', 1, 0)))).toBeUndefined();
    // One report of a total says nothing about a rate.
    expect(usedOf(first)).toEqual({ cores: null, memoryBytes: 12_000 });
    // 1,500 ms of CPU time in 1,000 ms, and then 100 ms in 500 ms.
    const second = beat(beat(first, 7_800, 1_500), 8_500, 2_000);
    expect(usedOf(second)).toEqual({ cores: 1.5, memoryBytes: 13_500 });
    const third = beat(emitStatus(second, 2_000).state, 8_600, 2_500);
    expect(usedOf(third)).toEqual({ cores: 0.2, memoryBytes: 13_600 });
    // Without a heartbeat since then, the last measurement stays.
    expect(usedOf(emitStatus(third, 2_500).state)).toEqual({ cores: 0.2, memoryBytes: 13_600 });
  });

  it('measures busy cores by the clock of the worker, whose heartbeats may arrive at once after a pause', () => {
    const record = worker('a', 1, 0);
    // Ten heartbeats of a worker with one busy core, all of which the coordinator receives in the same millisecond.
    let { state } = emitStatus(stateOf(record), 5_000);
    const coresOf = (): unknown => {
      const next = emitStatus(state, 5_000);
      state = next.state;
      const [action] = next.actions;
      return action?.kind === 'emit' && action.event.event === 'status'
        ? action.event.workers[0]?.usage?.cores
        : undefined;
    };
    const seen: unknown[] = [];
    for (let beats = 1; beats <= 10; beats++) {
      const usage = { cpuMs: 9_000 + 500 * beats, uptimeMs: 20_000 + 500 * beats, memoryBytes: 1 };
      const message = { type: 'heartbeat', generation: 0, ticks: beats, waitingFor: '', usage } as const;
      state = onHeartbeat(state, [...state.workers.values()][0]!, message, 5_000).state;
      seen.push(coresOf());
    }
    expect(seen).toEqual([null, ...Array.from({ length: 9 }, () => 1)]);
  });

  it('does not measure busy cores over a moment', () => {
    let usage = withUsage(null, { cpuMs: 100, uptimeMs: 1_000, memoryBytes: 1 });
    usage = withUsage(measureCores(usage), { cpuMs: 140, uptimeMs: 1_001, memoryBytes: 1 });
    expect(measureCores(usage)?.cores).toBe(null);
    usage = withUsage(measureCores(usage), { cpuMs: 300, uptimeMs: 1_400, memoryBytes: 1 });
    expect(measureCores(usage)?.cores).toBe(0.5);
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
