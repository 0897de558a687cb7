/** Events of a run that never was, for tests of whatever shows runs. */
import { resolveConfig } from '../../src/cli/options/resolve.js';
import { runConfigSchema } from '../../src/shared/config/run-config.js';
import type { RunEvent, TimedEvent, WorkerStatus } from '../../src/shared/runs/run-events.js';
import { noTimes, type StepPart } from '../../src/shared/timeline/step-parts.js';

type EventOf<Name extends RunEvent['event']> = Extract<TimedEvent, { event: Name }>;

const at = { timeMs: 1_000_000 };

export const runEvent = (workers = 2): EventOf<'run'> => ({
  event: 'run',
  runId: '00000000-0000-4000-8000-000000000000',
  out: '/runs/a',
  ...at,
  config: resolveConfig(runConfigSchema.parse({ name: 'digits', workers, shards: 8 }), {
    cores: 2,
    gpus: [],
  }),
});

export const startEvent = (steps = 2814): EventOf<'start'> => ({
  event: 'start',
  epochs: 3,
  steps,
  stepsPerEpoch: 938,
  parameters: 7,
  dataSha256: 'd',
  ...at,
});

export const stepEvent = (step: number, change: Partial<EventOf<'step'>> = {}): EventOf<'step'> => ({
  event: 'step',
  epoch: Math.ceil(step / 938),
  step,
  loss: 2 / step,
  learningRate: 0.001,
  imagesPerSecond: 1000,
  seconds: 0.064,
  samples: 64,
  timeMs: at.timeMs + 64 * step,
  ...change,
});

export function workerStatus(rank: number, parts: Partial<Record<StepPart, number>> | null): WorkerStatus {
  return {
    rank,
    pid: 100 + rank,
    host: 'box',
    device: 'CPU Model 8000',
    state: 'training',
    shards: 4,
    step: 412,
    parts: parts && { ...noTimes(), ...parts },
  };
}

export const statusEvent = (...workers: WorkerStatus[]): EventOf<'status'> => ({
  event: 'status',
  phase: 'running',
  generation: 1,
  step: 412,
  refused: 0,
  workers,
  ...at,
});

/** An evaluation after `step`. */
export const evalEvent = (
  step: number,
  accuracy: number,
  change: Partial<EventOf<'eval'>> = {},
): EventOf<'eval'> => ({
  event: 'eval',
  split: 'test',
  epoch: 1,
  step,
  loss: 1 - accuracy,
  metrics: { accuracy },
  accuracy,
  correct: Math.round(accuracy * 100),
  count: 100,
  timeMs: at.timeMs + 64 * step + 1,
  ...change,
});
