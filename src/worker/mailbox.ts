/** The coordinator's messages as values to await; the end of a generation, or of the run, as an exception. */

import { fromWireError } from '../shared/errors.js';
import type { CoordinatorMessage, MessageOf } from '../shared/protocol/messages.js';
import type { Communicator } from './communicator/communicator.js';
import { GenerationEnded } from './communicator/generation-ended.js';

type Waiter = {
  types: readonly CoordinatorMessage['type'][];
  resolve(message: CoordinatorMessage): void;
  reject(error: Error): void;
};

export class Mailbox {
  #arrived: CoordinatorMessage[] = [];
  #waiter: Waiter | undefined;
  #failure: Error | undefined;
  /** The last generation that is over, and the last one whose end was acknowledged. */
  #ended = 0;
  #acknowledged = 0;
  /** The boundary that the current generation is to end at. */
  #stop: { readonly generation: number; readonly after: number } | undefined;

  constructor(communicator: Communicator) {
    communicator.listen({
      message: (message) => this.#deliver(message),
      failed: (error) => this.fail(error),
    });
  }

  /** The next message of one of these types; others stay. @throws GenerationEnded, or what ended the run */
  take<T extends CoordinatorMessage['type']>(...types: T[]): Promise<MessageOf<CoordinatorMessage, T>> {
    const interruption = this.#interruption();
    if (interruption) return Promise.reject(interruption);
    const index = this.#arrived.findIndex((message) => types.some((type) => type === message.type));
    const [held] = index < 0 ? [] : this.#arrived.splice(index, 1);
    if (held) return Promise.resolve(held as MessageOf<CoordinatorMessage, T>);
    return new Promise((resolve, reject) => {
      this.#waiter = {
        types,
        resolve: (message) => resolve(message as MessageOf<CoordinatorMessage, T>),
        reject,
      };
    });
  }

  /** Lets the event loop turn once. @throws GenerationEnded, or what ended the run */
  async yieldToEventLoop(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    const interruption = this.#interruption();
    if (interruption) throw interruption;
  }

  /** Whether the generation is to end after this step. */
  stopsAfter(step: number): boolean {
    return this.#stop !== undefined && step >= this.#stop.after;
  }

  /** Waits for the end of the generation. @throws GenerationEnded, or what ended the run */
  end(): Promise<never> {
    return this.take<never>();
  }

  /** The end of this generation is known; it isn't thrown again, and its messages are forgotten. */
  acknowledge(generation: number): void {
    this.#ended = Math.max(this.#ended, generation);
    this.#acknowledged = this.#ended;
    this.#forget();
  }

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
      this.#forget();
      this.#reject(new GenerationEnded(this.#ended));
    } else if (this.#isOver(message)) {
      return;
    } else if (message.type === 'drain') {
      this.#stop = message;
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
  }

  #forget(): void {
    this.#arrived = this.#arrived.filter((message) => !this.#isOver(message));
    if (this.#stop && this.#isOver({ type: 'drain', ...this.#stop })) this.#stop = undefined;
  }

  #isOver(message: CoordinatorMessage): boolean {
    if (message.type === 'plan') return message.plan.generation <= this.#ended;
    if (message.type === 'start_generation' || message.type === 'save' || message.type === 'drain')
      return message.generation <= this.#ended;
    return false;
  }
}
