/** The end of an interrupted run. Pure. */

import { fail } from './actions.js';
import type { Decision, State } from './types.js';

/** Ends the run with exit status 130. */
export function interrupted(state: State, signal: string, nowMs: number): Decision {
  const message = `Interrupted by ${signal} after step ${state.progress.step}.`;
  const hint = state.checkpoint ? ` Continue with --resume ${state.checkpoint.path}` : '';
  return fail(state, { code: 'INTERRUPTED', message: `${message}${hint}` }, 130, nowMs);
}
