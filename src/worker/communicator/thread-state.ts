/**
 * The state that the main thread shares with the communicator thread, as the main thread uses it: progress, the collective that blocks
 * the main thread, finished rounds, and the reason for an interruption.
 */

import { receiveMessageOnPort, type MessagePort } from 'node:worker_threads';
import { InvariantError, fromWireError } from '../../shared/errors.js';
import { GenerationEnded } from './generation-ended.js';
import { observationMs } from './worker-health.js';
import { maxCollectives, stateIndex, type Interruption } from './thread-protocol.js';

export class ThreadState {
  readonly #state = new Int32Array(new SharedArrayBuffer(4 * (stateIndex.collectives + maxCollectives)));
  readonly #failures: MessagePort;
  /** The error that ended the run. */
  failure: Error | undefined;

  constructor(failures: MessagePort) {
    this.#failures = failures;
  }

  get buffer(): SharedArrayBuffer {
    return this.#state.buffer;
  }

  /** Clears the interruption of the last generation, unless the run has ended. */
  reset(): void {
    if (this.failure) return;
    this.#state.fill(0, stateIndex.collectives);
    Atomics.store(this.#state, stateIndex.interrupted, 0);
  }

  tick(): void {
    Atomics.add(this.#state, stateIndex.ticks, 1);
  }

  get ticks(): number {
    return Atomics.load(this.#state, stateIndex.ticks);
  }

  /** From now on, shows that this thread's event loop turns. */
  showTurns(): void {
    setInterval(() => Atomics.add(this.#state, stateIndex.turns, 1), observationMs).unref();
  }

  /** Sets the collective that the main thread is blocked on; 0: none. */
  setWaiting(collectiveId: number): void {
    Atomics.store(this.#state, stateIndex.waiting, collectiveId);
  }

  /** @throws GenerationEnded if the generation has ended, or the error that ended the run */
  check(): void {
    if (Atomics.load(this.#state, stateIndex.interrupted) !== 0) throw this.#interruption();
  }

  /** Blocks the thread until this many rounds of a collective are finished. @throws like `check` */
  awaitRounds(collectiveId: number, rounds: number): void {
    const index = stateIndex.collectives + collectiveId;
    for (;;) {
      const finished = Atomics.load(this.#state, index);
      if (finished === rounds) return;
      this.check();
      this.setWaiting(collectiveId);
      Atomics.wait(this.#state, index, finished);
      this.setWaiting(0);
    }
  }

  /** Reads the reason of an interruption from the port, because a blocked thread runs no event loop. */
  #interruption(): Error {
    let ended = 0;
    for (;;) {
      const received = receiveMessageOnPort(this.#failures) as { message: Interruption } | undefined;
      if (!received) break;
      if (received.message.kind === 'ended') ended = Math.max(ended, received.message.generation);
      else this.failure ??= fromWireError(received.message.error);
    }
    if (this.failure) return this.failure;
    return ended > 0 ? new GenerationEnded(ended) : new InvariantError('interrupted without a reason');
  }
}
