/**
 * The coordinator's decisions: (state, event, now) -> {state, actions}. Pure; coordinator.ts performs the actions, and tests
 * replace the clock.
 */

import { noActions, warn } from './actions.js';
import { handleMessage } from './handle-message.js';
import { onExit, onTimer, suspect } from './loss.js';
import { onInterrupt } from './stop-request.js';
import type { CoordinatorEvent, Decision, State } from './types.js';

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
