/** The end of an interrupted run. Pure. */

import { exitStatus, statusOfStop } from '../shared/exit-status.js';
import { fail } from './actions.js';
import type { Decision, State } from './types.js';

/**
 * Ends the run. The exit status is that of a stop with a saved state (`statusOfStop`), or 1 if the steps after the newest checkpoint
 * are lost.
 */
export function interrupted(state: State, signal: string, nowMs: number): Decision {
  const { progress, checkpoint, out } = state;
  const saved = checkpoint?.step ?? 0;
  const lost = out !== null && progress.step > saved;
  const message = `Interrupted by ${signal} after step ${progress.step}.`;
  const loss = lost ? ` The state after step ${saved} is not saved.` : '';
  const hint = checkpoint ? ` Continue with --resume ${checkpoint.path}` : '';
  const status = lost ? exitStatus.failed : statusOfStop(signal);
  return fail(state, { code: 'INTERRUPTED', message: `${message}${loss}${hint}` }, status, nowMs);
}
