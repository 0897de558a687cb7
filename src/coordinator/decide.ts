/**
 * The coordinator's decisions: (state, event, now) -> {state, actions}. Pure; coordinator.ts performs the actions, and tests
 * replace the clock.
 */

import { noActions, sendTo, warn } from './actions.js';
import { handleMessage } from './handle-message.js';
import { onExit, onTimer, suspect } from './loss.js';
import { onInterrupt } from './stop-request.js';
import type { CoordinatorEvent } from './coordinator-event.js';
import type { Decision, State } from './types.js';
import { rankedMembers, writerOf } from './workers.js';

export function decide(state: State, event: CoordinatorEvent, nowMs: number): Decision {
  if (state.phase === 'done' || state.phase === 'failed') return noActions(state);
  switch (event.kind) {
    case 'message':
      return handleMessage(state, event.from, event.message, nowMs);
    case 'refused':
      return onRefused(state, event);
    case 'disconnected':
      return suspect(state, null, null, nowMs);
    case 'exited':
      return onExit(state, event, nowMs);
    case 'interrupt':
      return onInterrupt(state, event, nowMs);
    case 'checkpoint':
      return onCheckpointRequest(state);
    case 'timer':
      return onTimer(state, nowMs);
  }
}

/** All refusals are counted; the first one for each reason is reported. */
function onRefused(
  state: State,
  { reason, count }: Extract<CoordinatorEvent, { kind: 'refused' }>,
): Decision {
  const reporting = { ...state.reporting, refused: state.reporting.refused + 1 };
  return { state: { ...state, reporting }, actions: count === 1 ? [warn(reason)] : [] };
}

/** The writer of the generation writes a checkpoint after its current step. */
function onCheckpointRequest(state: State): Decision {
  const { phase, out, generation } = state;
  if (phase !== 'running' || out === null) {
    const reason = out === null ? 'the run writes no files' : `the run is in phase ${phase}`;
    return { state, actions: [warn(`The requested checkpoint is not written, because ${reason}.`)] };
  }
  const members = rankedMembers(state);
  const writer = members.slice(writerOf(members)).slice(0, 1);
  return { state, actions: sendTo(writer, { type: 'request_checkpoint', generation }) };
}
