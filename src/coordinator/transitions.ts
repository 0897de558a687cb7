/**
 * The permitted transitions of the run's phases and of a worker's states. `enter` and `moveTo` check every change. docs/protocol.md
 * explains the tables.
 */

import { invariant } from '../shared/errors.js';
import type { Lifecycle, Phase, State, WorkerRecord, WorkerState } from './types.js';

export const phaseTransitions: Readonly<Record<Phase, readonly Phase[]>> = {
  gathering: ['connecting', 'running', 'failed'],
  connecting: ['running', 'reconfiguring', 'failed'],
  running: ['saving', 'reconfiguring', 'failed'],
  saving: ['done', 'reconfiguring', 'failed'],
  reconfiguring: ['connecting', 'stopping', 'failed'],
  stopping: ['stopping', 'reconfiguring', 'failed'],
  done: [],
  failed: [],
};

/** A worker is removed from the table in any state. It is added in state `loading`, or in `running` by a takeover. */
export const workerTransitions: Readonly<Record<WorkerState, readonly WorkerState[]>> = {
  loading: ['standby'],
  standby: ['connecting'],
  connecting: ['connected', 'stopping'],
  connected: ['running', 'stopping'],
  running: ['drained', 'finished', 'stopping'],
  drained: ['stopping'],
  finished: ['stopping'],
  stopping: ['stopped'],
  stopped: ['connecting', 'standby'],
};

export function enter(state: State, phase: Phase, nowMs: number): State {
  invariant(phaseTransitions[state.phase].includes(phase), `the run went from ${state.phase} to ${phase}`);
  return { ...state, phase, phaseSinceMs: nowMs };
}

export function moveTo<L extends Lifecycle>(worker: WorkerRecord, lifecycle: L): WorkerRecord<L> {
  const { state } = worker.lifecycle;
  invariant(
    workerTransitions[state].includes(lifecycle.state),
    `a worker went from ${state} to ${lifecycle.state}`,
  );
  return { ...worker, lifecycle };
}
