/**
 * Writes checkpoints from a thread of its own. The step pays for a copy of the state in memory; the rest happens beside it.
 * One at a time.
 */

import { Worker } from 'node:worker_threads';
import type { CheckpointDescription, CheckpointState } from '../../shared/checkpoint/checkpoint.js';
import { fromWireError, type WireError } from '../../shared/errors.js';
import type { Layout } from '../../shared/model/layout.js';

export interface ToWriter {
  readonly directory: string;
  readonly about: CheckpointDescription;
  readonly layout: Layout;
  readonly state: CheckpointState;
  readonly keep: number;
}

export type FromWriter =
  | { readonly kind: 'written'; readonly step: number; readonly path: string }
  | { readonly kind: 'failed'; readonly step: number; readonly error: WireError };

export interface WriterOptions {
  /** Folder of fault requests, for tests. */
  readonly faultRequests: string | undefined;
}

export class CheckpointWriter {
  readonly #options: WriterOptions;
  #thread: Worker | undefined;
  #pending: { resolve(path: string): void; reject(error: Error): void } | undefined;

  /** @param faultRequests folder of fault requests, for tests */
  constructor(faultRequests?: string) {
    this.#options = { faultRequests };
  }

  /** The state's memory is read until this resolves. @returns the checkpoint's path @throws CheckpointError */
  write(task: ToWriter): Promise<string> {
    const thread = (this.#thread ??= this.#start());
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject };
      thread.postMessage(task);
    });
  }

  async close(): Promise<void> {
    await this.#thread?.terminate();
  }

  #start(): Worker {
    const thread = new Worker(new URL('./writer-thread.js', import.meta.url), {
      name: 'checkpoints',
      workerData: this.#options,
    });
    // The run's end doesn't wait for it; whoever needs the last checkpoint awaits it.
    thread.unref();
    thread.on('message', (message: FromWriter) => {
      const pending = this.#pending;
      this.#pending = undefined;
      if (message.kind === 'written') pending?.resolve(message.path);
      else pending?.reject(fromWireError(message.error));
    });
    thread.on('error', (error) => {
      this.#thread = undefined;
      const pending = this.#pending;
      this.#pending = undefined;
      pending?.reject(error instanceof Error ? error : new Error(String(error)));
    });
    return thread;
  }
}
