/** A request to stop the run, from a signal to the coordinator or from a worker that received a scheduler's notice. Pure. */

import type { MessageOf, WorkerMessage } from '../shared/protocol/messages.js';
import { noActions } from './actions.js';
import { interrupted } from './interrupt.js';
import { leave, reconfigure } from './reconfigure.js';
import type { CoordinatorEvent } from './coordinator-event.js';
import type { Decision, State, WorkerRecord } from './types.js';
import { isMember, membersOf } from './workers.js';

/** A member writes a last checkpoint before the run ends. A repeated request has no effect, unless it ends the run at once. */
export function onInterrupt(
  state: State,
  { signal, atOnce }: Omit<Extract<CoordinatorEvent, { kind: 'interrupt' }>, 'kind'>,
  nowMs: number,
): Decision {
  if (atOnce || membersOf(state).length === 0) return interrupted(state, signal, nowMs);
  if (state.interruptedBy !== null) return noActions(state);
  return reconfigure({ ...state, interruptedBy: signal }, nowMs);
}

/** A worker has received a signal to stop. It leaves the run, unless the signal is a notice for the whole run. */
export function onLeave(
  state: State,
  worker: WorkerRecord,
  { notice }: MessageOf<WorkerMessage, 'leave'>,
  nowMs: number,
): Decision {
  if (notice !== undefined) return onInterrupt(state, { signal: notice, atOnce: false }, nowMs);
  if (!isAhead(state, worker)) return leave(state, worker, nowMs);
  const leaves = new Set(state.deferredLeaves).add(worker.connection);
  return noActions({ ...state, deferredLeaves: leaves });
}

/**
 * Returns true if this member alone has reported the newest step. If it left now, the other members would abort this step. A run that is
 * stopped next, because all processes receive a signal, would then end without the state of a step that its log contains.
 */
function isAhead(state: State, worker: WorkerRecord): boolean {
  if (!isMember(worker)) return false;
  const others = membersOf(state).filter(({ connection }) => connection !== worker.connection);
  return others.length > 0 && others.every(({ committedStep }) => committedStep < worker.committedStep);
}

/** Called after each committed step. Lets the workers go that were the only ones with the newest step. */
export function onStepOfAnother(state: State, nowMs: number): Decision {
  for (const connection of state.deferredLeaves) {
    const worker = state.workers.get(connection);
    if (worker !== undefined && isAhead(state, worker)) continue;
    const deferredLeaves = new Set([...state.deferredLeaves].filter((other) => other !== connection));
    const next = { ...state, deferredLeaves };
    return worker === undefined ? onStepOfAnother(next, nowMs) : leave(next, worker, nowMs);
  }
  return noActions(state);
}
