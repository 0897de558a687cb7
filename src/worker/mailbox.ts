/** The coordinator's messages as values to await, and the end of the run as an exception. */

import { fromWireError } from '../shared/errors.js';
import type { CoordinatorMessage, MessageOf } from '../shared/protocol/messages.js';
import type { Communicator } from './communicator/communicator.js';

type Waiter = {
  type: CoordinatorMessage['type'];
  resolve(message: CoordinatorMessage): void;
  reject(error: Error): void;
};

export class Mailbox {
  readonly #arrived: CoordinatorMessage[] = [];
  #waiter: Waiter | undefined;
  #failure: Error | undefined;

  constructor(communicator: Communicator) {
    communicator.listen({
      message: (message) => this.#deliver(message),
      failed: (error) => this.fail(error),
    });
  }

  /** The next message of `type`; others stay. Rejects when the run has ended. */
  take<T extends CoordinatorMessage['type']>(type: T): Promise<MessageOf<CoordinatorMessage, T>> {
    const index = this.#arrived.findIndex((message) => message.type === type);
    const [held] = index < 0 ? [] : this.#arrived.splice(index, 1);
    if (held) return Promise.resolve(held as MessageOf<CoordinatorMessage, T>);
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiter = {
        type,
        resolve: (message) => resolve(message as MessageOf<CoordinatorMessage, T>),
        reject,
      };
    });
  }

  /** Lets the event loop turn once, then throws if the run has ended. */
  async breathe(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    if (this.#failure) throw this.#failure;
  }

  fail(error: Error): void {
    this.#failure ??= error;
    this.#waiter?.reject(this.#failure);
    this.#waiter = undefined;
  }

  #deliver(message: CoordinatorMessage): void {
    if (message.type === 'abort') {
      this.fail(fromWireError(message.error));
    } else if (this.#waiter?.type === message.type) {
      const { resolve } = this.#waiter;
      this.#waiter = undefined;
      resolve(message);
    } else {
      this.#arrived.push(message);
    }
  }
}
