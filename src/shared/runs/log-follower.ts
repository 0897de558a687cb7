/** Reads the events that have been appended to a run's log since the last time. A line without its end is left for the next time. */

import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { eventsName, parseEvent, startsOf } from './read-events.js';
import type { RunEvent, TimedEvent } from './run-events.js';

const lineEnd = 0x0a;

export class LogFollower {
  readonly #path: string;
  readonly #skipped: readonly string[];
  #inode = 0;
  #offset = 0;

  /** @param skip kinds of events that are not parsed */
  constructor(run: string, skip: readonly RunEvent['event'][] = []) {
    this.#path = join(run, eventsName);
    this.#skipped = startsOf(skip);
  }

  /** Number of bytes that have been read. */
  get offset(): number {
    return this.#offset;
  }

  /**
   * Calls `note` for each further event. Calls `restart` before the first one if the file is another one than before, or shorter.
   * Resolves when the end of the file at the time of the call is reached. Must not be called again before.
   * @throws the file system's error if there is no log
   */
  async read(note: (event: TimedEvent) => void, restart: () => void): Promise<void> {
    const { size, ino } = await stat(this.#path);
    if (ino !== this.#inode || size < this.#offset) {
      restart();
      this.#inode = ino;
      this.#offset = 0;
    }
    if (size === this.#offset) return;
    let rest: Buffer = Buffer.alloc(0);
    const stream = createReadStream(this.#path, { start: this.#offset, end: size - 1 });
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      let bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      for (let end = bytes.indexOf(lineEnd); end >= 0; end = bytes.indexOf(lineEnd)) {
        const line = bytes.toString('utf8', 0, end);
        bytes = bytes.subarray(end + 1);
        this.#offset += end + 1;
        if (this.#skipped.some((start) => line.startsWith(start))) continue;
        const event = parseEvent(line);
        if (event) note(event);
      }
      rest = bytes;
    }
  }
}
