/** Decides what follows the end of a generation: the next plan, a wait for workers, or the last checkpoint. Pure. */

import { andThen, fail, noActions, sendTo, warn } from './actions.js';
import { interrupted } from './interrupt.js';
import { planGeneration } from './plan.js';
import { remove } from './removal.js';
import { enter } from './transitions.js';
import type { Decision, State } from './types.js';
import {
  allMembersAre,
  describeWorker,
  isLeaving,
  lastCommittedOf,
  lastCommittedStep,
  membersOf,
  readyOf,
  sharesFolder,
} from './workers.js';

/** Plans the next generation if all workers that it needs are present. */
export function planNext(state: State, nowMs: number): Decision {
  const { phase } = state;
  if (phase !== 'gathering' && phase !== 'reconfiguring' && phase !== 'stopping') return noActions(state);
  if (!allMembersAre(state, 'stopped')) return noActions(state);
  const { config, progress, workers } = state;
  // This is called for each worker that becomes ready, so it visits no worker.
  if (
    phase === 'gathering' &&
    state.interruptedBy === null &&
    workers.size - workers.count('loading') < config.workers
  )
    return noActions(state);
  const members = membersOf(state);
  if (state.interruptedBy !== null || (members.length > 0 && members.every(isLeaving)))
    return lastCheckpoint(state, nowMs);
  // The last member was leaving, and it was lost before it had written its checkpoint. The run continues with other workers.
  if (phase === 'stopping') return planNext(enter(state, 'reconfiguring', nowMs), nowMs);
  const ready = [...state.workers.values()].filter(
    (worker) => readyOf(worker) !== null && !isLeaving(worker),
  );
  if (isStateLost(state) && !state.checkpoint) {
    const message =
      `All workers that had the training state were lost: expected a worker or a checkpoint with the state after step ${progress.step}, got neither. ` +
      'Start the run again.';
    return fail(state, { code: 'PEER_LOST', message }, 1, nowMs);
  }
  if (ready.length < config.minWorkers) return waitForWorkers(state, ready.length);
  return planGeneration(state, ready, nowMs);
}

/**
 * True if no member has the training state. The last committed steps of members that have the state differ by at most one. So once step 2
 * has been reported, a member that has not committed any step does not have the state: it has joined the run and not received it yet.
 */
function isStateLost(state: State): boolean {
  const { step } = state.progress;
  return membersOf(state).length === 0 ? step > 0 : step > 1 && lastCommittedStep(state) === 0;
}

/** Reports once that workers are missing. */
function waitForWorkers(state: State, readyCount: number): Decision {
  const { config, progress, reporting } = state;
  if (reporting.waitingReported) return noActions(state);
  const message =
    `Waiting for workers: ${readyCount} of at least ${config.minWorkers} are connected ` +
    `(after step ${progress.step}).`;
  return {
    state: { ...state, reporting: { ...reporting, waitingReported: true } },
    actions: [warn(message)],
  };
}

/**
 * Asks a member with the latest state for the last checkpoint, and prefers a member that shares the run's folder. All members have stopped.
 */
function lastCheckpoint(state: State, nowMs: number): Decision {
  const step = lastCommittedStep(state);
  const able = membersOf(state).filter((member) => lastCommittedOf(member) === step);
  const writer = able.find(sharesFolder) ?? able[0];
  if (!writer || step === 0 || state.out === null) return afterLastCheckpoint(state, nowMs);
  return {
    state: enter(state, 'stopping', nowMs),
    actions: sendTo([writer], { type: 'checkpoint', generation: state.generation, directory: state.out }),
  };
}

/**
 * Continues when the last checkpoint has been written, or when no checkpoint can be written. An interrupted run ends. If the run was not
 * interrupted, the members that leave are removed.
 */
export function afterLastCheckpoint(state: State, nowMs: number): Decision {
  if (state.interruptedBy !== null) return interrupted(state, state.interruptedBy, nowMs);
  const start = state.phase === 'stopping' ? enter(state, 'reconfiguring', nowMs) : state;
  const dismissed = membersOf(start)
    .filter(isLeaving)
    .reduce(
      (decision, worker) =>
        andThen(decision, (next) =>
          remove(next, worker, `Worker left: ${describeWorker(worker)} was told to stop.`, nowMs, 'left'),
        ),
      noActions(start),
    );
  return andThen(dismissed, (next) => planNext(next, nowMs));
}
