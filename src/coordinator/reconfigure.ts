/**
 * The end of a generation. Pure. The members abort the step in flight and report the step that they committed last; these steps
 * differ by at most one. The next generation continues after the latest of them, so no sample is skipped. A committed step is
 * computed again, with the same bits, only if all workers that had committed it are lost.
 */

import { andThen, fail, noActions, sendTo, warn } from './actions.js';
import { planNext } from './plan-next.js';
import { remove } from './removal.js';
import { enter, moveTo } from './transitions.js';
import type { Decision, Reconfiguration, State, WorkerRecord } from './types.js';
import { describeWorker, isLeaving, isMember, membersOf, withWorker } from './workers.js';

/** The run fails after this many consecutive generations without a committed step and without a loss. */
const maxGenerationsWithoutProgress = 5;

/** Ends the current generation, if there is one, and plans the next once all members have stopped. */
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

/** Ends a generation in which no worker is lost. Too many of these in a row end the run. */
export function reconfigureWithoutProgress(state: State, cause: string, nowMs: number): Decision {
  const generationsWithoutProgress = state.reconfiguration.generationsWithoutProgress + 1;
  if (generationsWithoutProgress >= maxGenerationsWithoutProgress) {
    const message = `No progress in ${generationsWithoutProgress} generations: ${cause}`;
    return fail(state, { code: 'DEADLINE', message }, 1, nowMs);
  }
  const reconfiguration = { ...state.reconfiguration, generationsWithoutProgress };
  return andThen(
    { state: { ...state, reconfiguration }, actions: [warn(`${cause} Trying again.`)] },
    (next) => reconfigure(next, nowMs),
  );
}

/**
 * Removes a worker from the run. The loss of a member ends its generation; during a takeover it therefore also ends the wait for
 * members that have not rejoined yet.
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

/** Removes a worker that received a signal to stop. The last member writes a checkpoint first, since no other worker has the state. */
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
