/** Who is there, what each worker does and where its time goes: said about once a second. Pure; decides nothing. */

import type { MessageOf, WorkerMessage } from '../shared/protocol/messages.js';
import type { WorkerStatus } from '../shared/runs/run-events.js';
import { stepParts, type PartTimes, type StepPart } from '../shared/timeline/step-parts.js';
import { emit, type Decision, type State, type WorkerRecord } from './state.js';

const everyMs = 1_000;

export function statusIsDue(state: State, nowMs: number): boolean {
  return state.workers.size > 0 && nowMs - state.statusMs >= everyMs;
}

/** The event, and sums that begin anew. */
export function giveStatus(state: State, nowMs: number): Decision {
  const { phase, generation, progress, refused } = state;
  const all = [...state.workers.values()];
  const workers = all.map((worker): WorkerStatus => {
    const { rank, join, ready, committedStep, recent, shards } = worker;
    return {
      rank,
      pid: join.pid,
      host: join.host,
      device: ready?.device ?? '',
      state: ready === null ? 'loading' : rank === null || phase !== 'running' ? 'ready' : 'training',
      shards: shards ? shards.end - shards.start : 0,
      step: committedStep,
      parts: recent && perStep(recent),
    };
  });
  workers.sort((a, b) => (a.rank ?? all.length) - (b.rank ?? all.length));
  const since = all.map((worker) => [worker.connection, { ...worker, recent: null }] as const);
  return {
    state: { ...state, statusMs: nowMs, workers: new Map(since) },
    actions: [emit({ event: 'status', phase, generation, step: progress.step, refused, workers })],
  };
}

/** With the times of another step. */
export function withTimes(
  { recent }: WorkerRecord,
  { times }: MessageOf<WorkerMessage, 'committed'>,
): WorkerRecord['recent'] {
  if (!times) return recent;
  return recent
    ? { steps: recent.steps + 1, times: map((part) => recent.times[part] + times[part]) }
    : { steps: 1, times };
}

function perStep({ steps, times }: NonNullable<WorkerRecord['recent']>): PartTimes {
  // A hundredth of a millisecond is as much as a clock reading is worth.
  return map((part) => Math.round((times[part] / steps) * 100) / 100);
}

function map(value: (part: StepPart) => number): PartTimes {
  return Object.fromEntries(stepParts.map((part) => [part, value(part)])) as PartTimes;
}
