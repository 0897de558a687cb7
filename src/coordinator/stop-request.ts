/** A request to stop the run, from a signal to the coordinator or from a worker that received a scheduler's notice. Pure. */

import type { MessageOf, WorkerMessage } from '../shared/protocol/messages.js';
import { noActions } from './actions.js';
import { interrupted } from './interrupt.js';
import { leave, reconfigure } from './reconfigure.js';
import type { CoordinatorEvent } from './coordinator-event.js';
import type { Decision, State, WorkerRecord } from './types.js';
import { membersOf } from './workers.js';

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
  return notice === undefined
    ? leave(state, worker, nowMs)
    : onInterrupt(state, { signal: notice, atOnce: false }, nowMs);
}
