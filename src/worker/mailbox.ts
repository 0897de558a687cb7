/**
 * The coordinator's messages as values to await. The end of a generation, and the end of the run, become exceptions.
 */

import { fromWireError, invariant } from '../shared/errors.js';
import type { CoordinatorMessage, MessageOf } from '../shared/protocol/messages.js';
import type { Communicator } from './communicator/communicator.js';
import { GenerationEnded } from './communicator/generation-ended.js';

interface Waiter {
  readonly types: readonly CoordinatorMessage['type'][];
  resolve(message: CoordinatorMessage): void;
  reject(error: Error): void;
}

/** The points at which a computation can be interrupted. */
export type Interruptible = Pick<Mailbox, 'yieldToEventLoop' | 'during'>;

export class Mailbox {
  /** Messages that have not been received yet, in order of arrival. */
  #arrived: CoordinatorMessage[] = [];
  #waiter: Waiter | undefined;
  #failure: Error | undefined;
  /** Rejections of the calls of `during`. */
  readonly #during = new Set<(error: Error) => void>();
  /** The last generation that has ended. */
  #ended = 0;
  /** The last generation whose end was acknowledged. */
  #acknowledged = 0;
  /** The step after which the current generation drains. */
  #drain: { readonly generation: number; readonly after: number } | undefined;

  /** The generation in which a checkpoint was requested. */
  #checkpointRequest: number | undefined;

  constructor(communicator: Pick<Communicator, 'listen'>) {
    communicator.listen({
      message: (message) => this.#deliver(message),
      failed: (error) => this.fail(error),
    });
  }

  /**
   * The next message of one of these types. Messages of other types remain. Only one call may be pending at a time.
   * @throws GenerationEnded, or the error that ended the run
   */
  receive<T extends CoordinatorMessage['type']>(...types: T[]): Promise<MessageOf<CoordinatorMessage, T>> {
    const interruption = this.#interruption();
    if (interruption) return Promise.reject(interruption);
    const index = this.#arrived.findIndex((message) => types.some((type) => type === message.type));
    const [arrived] = index < 0 ? [] : this.#arrived.splice(index, 1);
    if (arrived) return Promise.resolve(arrived as MessageOf<CoordinatorMessage, T>);
    invariant(!this.#waiter, 'two calls wait for a message of the coordinator');
    return new Promise((resolve, reject) => {
      this.#waiter = {
        types,
        resolve: (message) => resolve(message as MessageOf<CoordinatorMessage, T>),
        reject,
      };
    });
  }

  /** Lets the event loop turn once. @throws GenerationEnded, or the error that ended the run */
  async yieldToEventLoop(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    const interruption = this.#interruption();
    if (interruption) throw interruption;
  }

  /**
   * Waits for a promise that may never settle, such as one of the user's code or of a transfer. After an interruption its result is ignored.
   * @throws the error of the promise, GenerationEnded, or the error that ended the run
   */
  async during<T>(work: Promise<T>): Promise<T> {
    const before = this.#interruption();
    let interrupt: ((error: Error) => void) | undefined;
    const interrupted = new Promise<never>((_, reject) => {
      interrupt = reject;
      this.#during.add(reject);
      if (before) reject(before);
    });
    try {
      return await Promise.race([work, interrupted]);
    } finally {
      if (interrupt) this.#during.delete(interrupt);
    }
  }

  /** Returns true if the coordinator has asked for the generation to drain after this step or an earlier one. */
  drainsAfter(step: number): boolean {
    return this.#drain !== undefined && step >= this.#drain.after;
  }

  /** Returns true once for each request of a checkpoint in the current generation. */
  takeCheckpointRequest(): boolean {
    const isRequested = this.#checkpointRequest !== undefined;
    this.#checkpointRequest = undefined;
    return isRequested;
  }

  /** Waits for the end of the generation. @throws GenerationEnded, or the error that ended the run */
  waitForEnd(): Promise<never> {
    return this.receive<never>();
  }

  /** Marks the end of a generation as handled: it is not thrown again, and the generation's messages are dropped. */
  acknowledge(generation: number): void {
    this.#ended = Math.max(this.#ended, generation);
    this.#acknowledged = this.#ended;
    this.#dropEnded();
  }

  /** Ends the run for this worker: every pending and later call throws the first such error. */
  fail(error: Error): void {
    this.#failure ??= error;
    this.#reject(this.#failure);
  }

  #interruption(): Error | undefined {
    if (this.#failure) return this.#failure;
    return this.#ended > this.#acknowledged ? new GenerationEnded(this.#ended) : undefined;
  }

  #deliver(message: CoordinatorMessage): void {
    if (message.type === 'abort') {
      this.fail(fromWireError(message.error));
    } else if (message.type === 'stop_generation') {
      if (message.generation <= this.#ended) return;
      this.#ended = message.generation;
      this.#dropEnded();
      this.#reject(new GenerationEnded(this.#ended));
    } else if (this.#hasEnded(message)) {
      return;
    } else if (message.type === 'drain') {
      this.#drain = message;
    } else if (message.type === 'request_checkpoint') {
      this.#checkpointRequest = message.generation;
    } else if (this.#waiter?.types.includes(message.type)) {
      const { resolve } = this.#waiter;
      this.#waiter = undefined;
      resolve(message);
    } else {
      this.#arrived.push(message);
    }
  }

  #reject(error: Error): void {
    this.#waiter?.reject(error);
    this.#waiter = undefined;
    for (const interrupt of this.#during) interrupt(error);
  }

  #dropEnded(): void {
    this.#arrived = this.#arrived.filter((message) => !this.#hasEnded(message));
    if (this.#drain && this.#drain.generation <= this.#ended) this.#drain = undefined;
    if (this.#checkpointRequest !== undefined && this.#checkpointRequest <= this.#ended)
      this.#checkpointRequest = undefined;
  }

  /** Returns true if the message belongs to a generation that has ended. */
  #hasEnded(message: CoordinatorMessage): boolean {
    if (message.type === 'plan') return message.plan.generation <= this.#ended;
    switch (message.type) {
      case 'start_generation':
      case 'save':
      case 'drain':
      case 'request_checkpoint':
        return message.generation <= this.#ended;
      default:
        return false;
    }
  }
}
