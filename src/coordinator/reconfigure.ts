/**
 * The end of a generation. Pure. Each member aborts the step in flight and reports the last step that it committed. The steps of
 * members that have the training state differ by at most one; a member that has not received it yet reports 0. The next generation continues after the latest of these steps, so no sample is skipped. If all workers that had
 * committed a step are lost, the step is computed again, with the same bits.
 */

import { andThen, fail, noActions, sendTo, warn } from './actions.js';
import { planNext } from './plan-next.js';
import { remove } from './removal.js';
import { enter, moveTo } from './transitions.js';
import type { Decision, Reconfiguration, State, WorkerRecord } from './types.js';
import { describeWorker, isLeaving, isMember, membersOf, withWorker } from './workers.js';

/** The run fails when stalls or broken links have ended this many generations at the same step. */
const maxFailedAttempts = 5;

/** Ends the current generation, if there is one. Plans the next generation once all members have stopped. */
export function reconfigure(
  state: State,
  nowMs: number,
  reason: Reconfiguration['reason'] = 'membership',
): Decision {
  return andThen(stopMembers(state, nowMs, reason), (stopping) => planNext(stopping, nowMs));
}

function stopMembers(state: State, nowMs: number, reason: Reconfiguration['reason']): Decision {
  const { phase, reconfiguration } = state;
  if (phase !== 'connecting' && phase !== 'running' && phase !== 'saving')
    return noActions({ ...state, reconfiguration: { ...reconfiguration, reason } });
  return {
    state: {
      ...enter(state, 'reconfiguring', nowMs),
      workers: state.workers.map((worker) => stopping(worker, nowMs)),
      liveness: { ...state.liveness, suspicions: [] },
      takeover: { pending: null, identified: new Set() },
      balance: { ...state.balance, stopAfter: null, drainedMs: null },
      reconfiguration: { ...reconfiguration, reason, sinceMs: nowMs },
    },
    actions: sendTo(membersOf(state), { type: 'stop_generation', generation: state.generation }),
  };
}

function stopping(worker: WorkerRecord, nowMs: number): WorkerRecord {
  if (!isMember(worker)) return worker;
  const { ready, rank, shards } = worker.lifecycle;
  return {
    ...moveTo(worker, { state: 'stopping', ready, rank, shards, leaving: false }),
    activity: { ...worker.activity, tickedMs: nowMs },
    samples: { window: null, measuredTimes: [] },
  };
}

/** Ends a generation after a stall or a broken link, so that the members try the step again. Too many failed attempts end the run. */
export function retryStep(state: State, cause: string, nowMs: number): Decision {
  const failedAttempts = state.reconfiguration.failedAttempts + 1;
  if (failedAttempts >= maxFailedAttempts) {
    const message = `No progress in ${failedAttempts} attempts: ${cause}`;
    return fail(state, { code: 'DEADLINE', message }, 1, nowMs);
  }
  const reconfiguration = { ...state.reconfiguration, failedAttempts };
  return andThen(
    { state: { ...state, reconfiguration }, actions: [warn(`${cause} Trying again.`)] },
    (next) => reconfigure(next, nowMs),
  );
}

/**
 * Removes a worker from the run. The loss of a member ends its generation. During a takeover, the loss also ends the wait for members
 * that have not rejoined.
 */
export function lose(
  state: State,
  worker: WorkerRecord,
  reason: string,
  nowMs: number,
  change: 'lost' | 'left' = 'lost',
): Decision {
  const removed = remove(state, worker, reason, nowMs, change);
  return isMember(worker) ? andThen(removed, (next) => reconfigure(next, nowMs)) : removed;
}

/** Removes a worker that received a signal to stop. If it is the last member, it writes a checkpoint first. */
export function leave(state: State, worker: WorkerRecord, nowMs: number): Decision {
  const others = membersOf(state).some(
    (member) => member.connection !== worker.connection && !isLeaving(member),
  );
  if (others || !isMember(worker) || state.progress.step === 0 || state.out === null) {
    return lose(state, worker, `Worker left: ${describeWorker(worker)} was told to stop.`, nowMs, 'left');
  }
  return andThen(stopMembers(state, nowMs, 'membership'), (next) =>
    planNext(markLeaving(next, worker.connection), nowMs),
  );
}

function markLeaving(state: State, connection: string): State {
  const worker = state.workers.get(connection);
  if (!worker || !('leaving' in worker.lifecycle)) return state;
  return withWorker(state, { ...worker, lifecycle: { ...worker.lifecycle, leaving: true } });
}
