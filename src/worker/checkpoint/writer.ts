/** Writes checkpoints on a separate thread, one at a time. */

import { Worker } from 'node:worker_threads';
import type { WriteOptions } from '../../shared/checkpoint/write-checkpoint.js';
import { fromWireError, type WireError, asError } from '../../shared/errors.js';

/** The vectors of `state` should lie in shared memory; other vectors are copied when the message is sent. */
export type ToWriter = WriteOptions;

export type FromWriter =
  /** Another piece of the file is on disk. */
  | { readonly kind: 'progress' }
  | { readonly kind: 'written'; readonly step: number; readonly path: string }
  | { readonly kind: 'failed'; readonly step: number; readonly error: WireError };

export interface WriterOptions {
  /** Folder of fault requests, for tests. */
  readonly faultRequests: string | undefined;
}

export class CheckpointWriter {
  readonly #options: WriterOptions;
  readonly #onProgress: () => void;
  #thread: Worker | undefined;
  #pending: { resolve(path: string): void; reject(error: Error): void } | undefined;

  /**
   * @param onProgress called after each piece of a file that is on disk
   * @param faultRequests folder of fault requests, for tests
   */
  constructor(onProgress: () => void = () => undefined, faultRequests?: string) {
    this.#onProgress = onProgress;
    this.#options = { faultRequests };
  }

  /**
   * Starts the thread at the first call. The caller must not change the state's memory, nor call again, before the returned promise
   * is settled.
   * @returns the checkpoint's path
   * @throws CheckpointError if the checkpoint cannot be written
   */
  write(task: ToWriter): Promise<string> {
    const thread = (this.#thread ??= this.#start());
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject };
      thread.postMessage(task);
    });
  }

  /** Ends the thread, even while it writes. */
  async close(): Promise<void> {
    await this.#thread?.terminate();
  }

  #start(): Worker {
    const thread = new Worker(new URL('./writer-thread.js', import.meta.url), {
      name: 'checkpoints',
      workerData: this.#options,
    });
    // The thread does not keep the process alive. The end of the run awaits the last checkpoint explicitly.
    thread.unref();
    thread.on('message', (message: FromWriter) => {
      if (message.kind === 'progress') {
        this.#onProgress();
        return;
      }
      const pending = this.#pending;
      this.#pending = undefined;
      if (message.kind === 'written') pending?.resolve(message.path);
      else pending?.reject(fromWireError(message.error));
    });
    thread.on('error', (error) => {
      this.#thread = undefined;
      const pending = this.#pending;
      this.#pending = undefined;
      pending?.reject(asError(error));
    });
    return thread;
  }
}
