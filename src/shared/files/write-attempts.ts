/**
 * The pauses and the messages of repeated attempts to write a file. A disk may be full, or may fail, for a time; the run continues, and
 * its files are written again as soon as that is possible.
 */

import { systemCode } from '../errors.js';

const firstPauseMs = 100;
const longestPauseMs = 2_000;
/** At the end of a run, a disk that works again should be noticed at once. */
const longestPauseAtEndMs = 250;

/** Time for which files that cannot be written are tried again at the end of a run. */
export const endOfWritesMs = 10_000;
/** Time for the last attempt. A write to a network file system may never return. */
export const lastAttemptMs = 1_000;

export class WriteAttempts {
  readonly #what: string;
  readonly #notify: (message: string) => void;
  /** The start of the outage; undefined while the file can be written. */
  #sinceMs: number | undefined;
  #pauseMs = firstPauseMs;
  #endMs: number | undefined;
  #wake: (() => void) | undefined;

  /**
   * @param what name and path of the file, e.g. `Event log runs/a/events.ndjson`
   * @param notify receives one message per outage, and one when it is over
   */
  constructor(what: string, notify: (message: string) => void) {
    this.#what = what;
    this.#notify = notify;
  }

  /** Notes an attempt that failed and waits. Resolves with false if there is no time for another attempt. */
  async failed(error: unknown): Promise<boolean> {
    if (this.#sinceMs === undefined) {
      this.#sinceMs = performance.now();
      this.#notify(
        `${this.#what} can't be written (${reasonOf(error)}). Training continues; it is tried again until it can be written.`,
      );
    }
    if (this.#endMs !== undefined && performance.now() >= this.#endMs) return false;
    const pauseMs = this.#endMs === undefined ? this.#pauseMs : Math.min(this.#pauseMs, longestPauseAtEndMs);
    this.#pauseMs = Math.min(longestPauseMs, 2 * this.#pauseMs);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, pauseMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = undefined;
    return true;
  }

  /** Notes a successful attempt. @param lost number of records that were given up, which ends the message */
  succeeded(lost = 0): void {
    const sinceMs = this.#sinceMs;
    this.#sinceMs = undefined;
    this.#pauseMs = firstPauseMs;
    const result = lost === 0 ? 'nothing was lost' : `${lost} records were lost`;
    if (sinceMs !== undefined) {
      const seconds = ((performance.now() - sinceMs) / 1000).toFixed(1);
      this.#notify(`${this.#what} is written again after ${seconds} s; ${result}.`);
    } else if (lost > 0) {
      this.#notify(`${this.#what} is written more slowly than the run reports; ${result}.`);
    }
  }

  /** From now on, attempts are repeated for `timeMs` at most. */
  end(timeMs: number): void {
    this.#endMs ??= performance.now() + timeMs;
    this.#wake?.();
  }

  /** Reports records that the file will never contain. */
  giveUp(lost: number): void {
    this.#notify(
      `${this.#what} lacks its last ${lost} records: it could not be written until the end of the run.`,
    );
  }

  /** Reports an error after the last record. */
  incomplete(error: unknown): void {
    this.#notify(`${this.#what} may be incomplete (${reasonOf(error)}).`);
  }
}

function reasonOf(error: unknown): string {
  return systemCode(error) ?? (error instanceof Error ? error.message : String(error));
}
