/** Removal of workers from the run, and the bound on repeated losses of one worker location. Pure. */

import { abortMessage, workerEvent } from './actions.js';
import type { Decision, State, WorkerRecord } from './types.js';
import { workerLocation } from './workers.js';

/** A worker location with `flapLosses` losses within this time is refused. */
const flapWindowMs = 60_000;
const flapLosses = 5;
/** Largest number of worker locations whose losses are recorded. */
const maxLocations = 4_096;

/** The reason to refuse a worker at this location because of its recent losses; undefined if there is none. */
export function flapping(state: State, location: string, nowMs: number): string | undefined {
  const recent = (state.liveness.losses.get(location) ?? []).filter((atMs) => nowMs - atMs < flapWindowMs);
  if (recent.length < flapLosses) return undefined;
  return (
    `its worker location (${location.trim()}) lost ${recent.length} workers within a minute. ` +
    'Find out why they exit; a worker at this location can join again when fewer than five losses lie within the last minute.'
  );
}

/**
 * Adds a loss and drops expired losses. The number of locations is bounded, because an unknown process can send `join` with many locations.
 */
function withLoss(
  losses: State['liveness']['losses'],
  location: string,
  nowMs: number,
): State['liveness']['losses'] {
  const recent = [...losses].map(
    ([at, times]) => [at, times.filter((atMs) => nowMs - atMs < flapWindowMs)] as const,
  );
  const kept = new Map(recent.filter(([, times]) => times.length > 0).slice(-maxLocations));
  return kept.set(location, [...(kept.get(location) ?? []), nowMs]);
}

/** Removes a worker and sends it `abort`, which ends its process. The caller ends the generation if the worker was a member. */
export function remove(
  state: State,
  worker: WorkerRecord,
  reason: string,
  nowMs: number,
  change: 'lost' | 'left',
): Decision {
  const { losses } = state.liveness;
  const message = `This worker was removed from the run: ${reason}`;
  return {
    state: {
      ...state,
      workers: state.workers.delete(worker.connection),
      liveness: {
        ...state.liveness,
        losses: change === 'left' ? losses : withLoss(losses, workerLocation(worker), nowMs),
      },
      reconfiguration: { ...state.reconfiguration, failedAttempts: 0 },
    },
    actions: [
      workerEvent(state, worker, change, reason),
      { kind: 'send', to: worker.connection, message: abortMessage({ code: 'PEER_LOST', message }) },
    ],
  };
}
