/** The coordinator's state before the first event. Pure. */

import type { Progress, RunDescription, State } from './types.js';
import { WorkerTable } from './worker-table.js';

export function initialState(run: RunDescription, nowMs: number): State {
  const { runId, host, config, definition, fingerprint, socketDirectory, out, folder, resume, inherited } =
    run;
  return {
    runId,
    host,
    config,
    definition,
    fingerprint,
    socketDirectory,
    out,
    folder: folder ?? null,
    resume,
    inherited,
    phase: 'gathering',
    phaseSinceMs: nowMs,
    generation: 0,
    workers: WorkerTable.of([]),
    trained: null,
    progress: initialProgress(run, nowMs),
    checkpoint: inherited?.checkpoint ?? resume,
    reconfiguration: { reason: 'membership', sinceMs: nowMs, failedAttempts: 0 },
    takeover: { pending: null, identified: new Set() },
    liveness: { suspicions: [], losses: new Map(), heartbeatMs: nowMs },
    balance: {
      stopAfter: null,
      drainedMs: null,
      unmeasuredMembers: 0,
      nextEvaluationMs: nowMs,
      reassignments: 0,
      cooldownUntilMs: nowMs,
      costMs: null,
    },
    deferredLeaves: new Set(),
    interruptedBy: null,
    reporting: { waitingReported: false, statusMs: nowMs, refused: 0, refusedKinds: new Set() },
  };
}

function initialProgress({ resume, inherited }: RunDescription, nowMs: number): Progress {
  return {
    started: inherited !== null && inherited.step > 0,
    step: inherited?.step ?? resume?.step ?? 0,
    loss: null,
    evaluated: inherited?.evaluated ?? { step: 0, splits: [] },
    startedMs: nowMs,
    markMs: nowMs,
    firstOfGeneration: true,
    trainingMs: 0,
    samples: 0,
    rate: 0,
  };
}
