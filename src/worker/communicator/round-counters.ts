/** Counters of finished rounds, one per collective, as the communicator thread writes them. `ThreadState` reads them. */

import { maxCollectives, stateIndex } from './thread-protocol.js';

/**
 * Counts a round of a collective as finished, and wakes the main thread. After an interruption nothing is counted: frames of peers can still
 * complete a round, and a counter that left its negative value would look unchanged to a main thread that is about to block on it.
 */
export function countRound(state: Int32Array<SharedArrayBuffer>, collectiveId: number): void {
  if (Atomics.load(state, stateIndex.interrupted) !== 0) return;
  Atomics.add(state, stateIndex.collectives + collectiveId, 1);
  Atomics.notify(state, stateIndex.collectives + collectiveId);
}

/** Wakes the main thread from a wait for any collective, until `ThreadState.reset`. */
export function interruptRounds(state: Int32Array<SharedArrayBuffer>): void {
  Atomics.store(state, stateIndex.interrupted, 1);
  for (let id = 0; id < maxCollectives; id++) {
    Atomics.store(state, stateIndex.collectives + id, -1);
    Atomics.notify(state, stateIndex.collectives + id);
  }
}
