/** The end of a run whose coordinator was lost after a request to stop. Pure. */

import type { CheckpointRef, InheritedState } from '../coordinator/types.js';
import { exitStatus, statusOfStop } from '../shared/exit-status.js';
import type { RunEvent } from '../shared/runs/run-events.js';

/**
 * The run has ended as requested if no step is lost.
 * @param state what the coordinator reported; null if it reported nothing
 * @param resume the checkpoint from which the run was continued; it is the newest one until the run writes another
 * @param signal the signal that stopped the run
 * @param lost describes the loss of the coordinator
 */
export function endWithoutCoordinator(
  state: InheritedState | null,
  resume: CheckpointRef | null,
  signal: string,
  lost: string,
): { readonly status: number; readonly event: Extract<RunEvent, { event: 'error' }> } {
  const checkpoint = state?.checkpoint ?? resume;
  const saved = checkpoint?.step ?? 0;
  const step = Math.max(state?.step ?? 0, resume?.step ?? 0);
  const hint = checkpoint ? ` Continue with --resume ${checkpoint.path}` : ' Start the run again.';
  if (step > saved) {
    const message = `${lost} The state after step ${saved} is not saved.${hint}`;
    return { status: exitStatus.failed, event: { event: 'error', code: 'PEER_LOST', message } };
  }
  const message = `Interrupted by ${signal} after step ${step}.${hint}`;
  return { status: statusOfStop(signal), event: { event: 'error', code: 'INTERRUPTED', message } };
}
