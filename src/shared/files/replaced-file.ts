/** A small file that a running process replaces as a whole. A write that fails is repeated, as in appending-file.ts. */

import { settledWithin } from '../settled-within.js';
import { endOfWritesMs, lastAttemptMs, WriteAttempts } from './write-attempts.js';
import { writeFileAtomically } from './write-whole.js';

export class ReplacedFile {
  readonly #path: string;
  readonly #attempts: WriteAttempts;
  /** The newest content, until it is written. */
  #content: string | undefined;
  #writing: Promise<void> | undefined;

  /** @param what name of the file in messages; `notify` receives one message per outage, and one when it is over */
  constructor(path: string, what: string, notify: (message: string) => void) {
    this.#path = path;
    this.#attempts = new WriteAttempts(`${what} ${path}`, notify);
  }

  write(content: string): void {
    this.#content = content;
    this.#writing ??= this.#writeNewest().finally(() => (this.#writing = undefined));
  }

  /** Resolves when the newest content is written, or `timeMs` after the call; a failure is reported. */
  async close(timeMs = endOfWritesMs): Promise<void> {
    this.#attempts.end(timeMs);
    if (this.#writing) await settledWithin(timeMs + lastAttemptMs, this.#writing);
    if (this.#content !== undefined) this.#attempts.giveUp(1);
  }

  async #writeNewest(): Promise<void> {
    while (this.#content !== undefined) {
      const content = this.#content;
      try {
        await writeFileAtomically(this.#path, content);
        if (this.#content === content) this.#content = undefined;
        this.#attempts.succeeded();
      } catch (error) {
        if (!(await this.#attempts.failed(error))) return;
      }
    }
  }
}
