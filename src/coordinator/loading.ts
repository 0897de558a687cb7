/** Stages of a worker that has joined and is not ready yet, and the error if they last too long. Pure. */

import type { LoadingStage } from '../shared/protocol/messages.js';
import type { Lifecycle, WorkerRecord } from './types.js';
import { describeWorker } from './workers.js';

type Loading = Extract<Lifecycle, { readonly state: 'loading' }>;

/** The state of a worker that has just joined. */
export function beginLoading(nowMs: number): Loading {
  return { state: 'loading', joinedMs: nowMs, stage: 'definition', lock: null, stageSinceMs: nowMs };
}

/** The activity of a worker in each stage, and the remedy if it takes too long. */
const stages: Readonly<Record<LoadingStage, { readonly activity: string; readonly remedy: string }>> = {
  definition: {
    activity: 'loads the training definition',
    remedy: 'Check what the definition does while it is imported.',
  },
  installation: {
    activity: 'waits until another process has installed TensorFlow',
    remedy: 'Wait until `lockstep engine install` has ended, then start again.',
  },
  engine: {
    activity: 'loads the engine',
    remedy: 'Check the engine and the disk that it is on with `lockstep doctor`.',
  },
  model: {
    activity: 'loads the data and builds the model',
    remedy:
      'Check the functions `data` and `model` of the definition, and the disk or network that the data come from.',
  },
  network: {
    activity: "opens its sockets and the run's folder",
    remedy: "Check that the worker's host can reach the run's folder and the coordinator.",
  },
};

/** Returns, for example, `a worker (pid 4242 on box) loads the engine, for 12.3 s`. */
export function describeLoading(worker: WorkerRecord, nowMs: number): string {
  const { lifecycle } = worker;
  if (lifecycle.state !== 'loading') return `${describeWorker(worker)} is ready`;
  const { stage, lock, stageSinceMs } = lifecycle;
  const where = lock === null ? '' : ` (its lock: ${lock})`;
  return `${describeWorker(worker)} ${stages[stage].activity}${where}, for ${((nowMs - stageSinceMs) / 1000).toFixed(1)} s`;
}

/** The remedies for the workers that are loading, each once. */
export function loadingRemedies(workers: readonly WorkerRecord[]): string {
  const remedies = workers.flatMap(({ lifecycle }) =>
    lifecycle.state === 'loading' ? [stages[lifecycle.stage].remedy] : [],
  );
  return [...new Set(remedies)].join(' ');
}
