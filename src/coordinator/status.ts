/** The status event, once per `statusMs`: the workers, their states and their times per step. Pure; decides nothing. */

import type { MessageOf, WorkerMessage } from '../shared/protocol/messages.js';
import type { WorkerStatus } from '../shared/runs/run-events.js';
import { stepParts, type PartTimes, type StepPart } from '../shared/timeline/step-parts.js';
import { emit } from './actions.js';
import type { Decision, State, WorkerRecord } from './types.js';
import { measureCores } from './usage.js';
import { isMember, rankOf, readyOf } from './workers.js';

export function statusIsDue({ config, workers, reporting }: State, nowMs: number): boolean {
  return workers.size > 0 && nowMs - reporting.statusMs >= config.statusMs;
}

/** Emits the event and resets the sums. */
export function emitStatus(state: State, nowMs: number): Decision {
  const { phase, generation, progress, reporting } = state;
  const measured = state.workers.map((worker) => ({ ...worker, usage: measureCores(worker.usage) }));
  const workers = [...measured.values()].map((worker) => statusOf(worker, phase));
  workers.sort((a, b) => (a.rank ?? workers.length) - (b.rank ?? workers.length));
  return {
    state: {
      ...state,
      workers: measured.map((worker) => ({ ...worker, recent: null })),
      reporting: { ...reporting, statusMs: nowMs },
    },
    actions: [
      emit({
        event: 'status',
        phase,
        generation,
        step: progress.step,
        refused: reporting.refused,
        workers,
      }),
    ],
  };
}

function statusOf(worker: WorkerRecord, phase: State['phase']): WorkerStatus {
  const { join, lifecycle, committedStep, recent, usage } = worker;
  const shards = isMember(worker) ? worker.lifecycle.shards : null;
  const training = isMember(worker) && phase === 'running';
  return {
    rank: rankOf(worker),
    pid: join.pid,
    host: join.host,
    device: readyOf(worker)?.device ?? '',
    state: lifecycle.state === 'loading' ? 'loading' : training ? 'training' : 'ready',
    shards: shards ? shards.end - shards.start : 0,
    step: committedStep,
    parts: recent && perStep(recent),
    ...(usage ? { usage: { cores: usage.cores, memoryBytes: usage.memoryBytes } } : {}),
  };
}

/** Adds the times of a step to the sums since the last status event. */
export function withTimes(
  { recent }: WorkerRecord,
  { times }: MessageOf<WorkerMessage, 'committed'>,
): WorkerRecord['recent'] {
  if (!times) return recent;
  return recent
    ? { steps: recent.steps + 1, times: mapParts((part) => recent.times[part] + times[part]) }
    : { steps: 1, times };
}

/** The mean times per step, rounded to the precision of the clock, 0.01 ms. */
function perStep({ steps, times }: NonNullable<WorkerRecord['recent']>): PartTimes {
  return mapParts((part) => Math.round((times[part] / steps) * 100) / 100);
}

function mapParts(value: (part: StepPart) => number): PartTimes {
  return Object.fromEntries(stepParts.map((part) => [part, value(part)])) as PartTimes;
}
