/** The loss of workers: exits, failures and broken connections. Pure. */

import { exitStatus } from '../shared/exit-status.js';
import { andThen, fail, noActions, sendTo, warn } from './actions.js';
import { drainOverdue } from './balance.js';
import { detectFailure } from './liveness.js';
import { lose, retryStep } from './reconfigure.js';
import { emitStatus, statusIsDue } from './status.js';
import { takeoverDue } from './takeover.js';
import type { CoordinatorEvent } from './coordinator-event.js';
import type { Decision, Failure, State, WorkerRecord } from './types.js';
import { describeWorker, isMember } from './workers.js';

/** Errors in the configuration of a run: exit status 2 before the training has started. */
const usageCodes: readonly string[] = ['CONFIG', 'DATA', 'ENGINE', 'MODEL', 'LAYOUT_MISMATCH'];
/** Errors in the user's own code: exit status 2 at any time. */
const userCode = 'USER';
/** Errors that concern one worker only. */
const workerCodes: readonly string[] = ['PEER_LOST', 'STALE_GENERATION', 'INTERRUPTED', 'DEVICE_LOST'];

/**
 * Handles a worker that has failed. The worker is removed if the error concerns only this worker, or if the run has started and the
 * worker is not a member. The run ends in all other cases, because the same error would occur on every worker.
 */
export function onFailed(state: State, worker: WorkerRecord, error: Failure, nowMs: number): Decision {
  const { started } = state.progress;
  if (workerCodes.includes(error.code) || (started && !isMember(worker))) {
    return lose(state, worker, `Worker lost: ${describeWorker(worker)} failed: ${error.message}`, nowMs);
  }
  const usage = error.code === userCode || (!started && usageCodes.includes(error.code));
  return fail(state, error, usage ? exitStatus.usage : exitStatus.failed, nowMs);
}

/** The launcher observed the exit of a worker process on the coordinator's host. */
export function onExit(
  state: State,
  { pid, how, final }: Extract<CoordinatorEvent, { kind: 'exited' }>,
  nowMs: number,
): Decision {
  const worker = [...state.workers.values()].find(({ join }) => join.pid === pid && join.host === state.host);
  const message = worker
    ? `Worker lost: ${describeWorker(worker)} ${how}.`
    : `Worker lost: pid ${pid} ${how} before it had joined.`;
  const lost: Decision = worker
    ? lose(state, worker, message, nowMs)
    : { state, actions: final ? [warn(message)] : [] };
  if (!final) return lost;
  // The launcher does not replace this worker. The run ends if it has not started yet, or if too few workers remain.
  return andThen(lost, (next) => {
    const enough = next.phase !== 'gathering' && next.workers.size >= next.config.minWorkers;
    if (enough || next.phase === 'failed') return noActions(next);
    const failure = { code: 'PEER_LOST', message: `${message} It was started too often.` } as const;
    return fail(next, failure, 1, nowMs);
  });
}

/**
 * Records that a connection broke. If both ranks are null, the connection was between the coordinator and a worker. If they are not null,
 * it was between two members. Three heartbeats later `detectFailure` decides which worker is lost, if any.
 */
export function suspect(state: State, rank: number | null, reporter: number | null, nowMs: number): Decision {
  const { liveness } = state;
  if (rank !== null && state.phase === 'reconfiguring') return noActions(state);
  if (liveness.suspicions.some((suspicion) => suspicion.rank === rank)) return noActions(state);
  const suspicion = { rank, reporter, untilMs: nowMs + 3 * state.config.heartbeatMs };
  const suspicions = [...liveness.suspicions, suspicion];
  return noActions({ ...state, liveness: { ...liveness, suspicions } });
}

/** Checks all deadlines, and sends heartbeats and the status when they are due. */
export function onTimer(state: State, nowMs: number): Decision {
  const due = takeoverDue(state, nowMs) ?? drainOverdue(state, nowMs);
  if (due) return due;
  const verdict = detectFailure(state, nowMs);
  if (verdict) {
    const { failure, worker, action } = verdict;
    if (action === 'fail') return fail(state, failure, 1, nowMs);
    if (worker) return lose(state, worker, failure.message, nowMs);
    return retryStep(state, failure.message, nowMs);
  }
  const { liveness } = state;
  const beats = nowMs - liveness.heartbeatMs >= state.config.heartbeatMs;
  const checked: Decision = {
    state: {
      ...state,
      liveness: {
        ...liveness,
        suspicions: liveness.suspicions.filter(({ untilMs }) => untilMs > nowMs),
        heartbeatMs: beats ? nowMs : liveness.heartbeatMs,
      },
    },
    actions: beats ? sendTo(state.workers.values(), { type: 'heartbeat' }) : [],
  };
  return statusIsDue(state, nowMs) ? andThen(checked, (next) => emitStatus(next, nowMs)) : checked;
}
