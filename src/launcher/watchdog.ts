/**
 * Ends a child that has stopped speaking. Counts its own ticks instead of reading a clock: a launcher that was itself stopped for
 * a while has heard nothing either, and must not take that for the child's silence.
 */

import type { Child } from './child-process.js';

const tickMs = 250;

export class Watchdog {
  readonly #timer: NodeJS.Timeout;
  #quietTicks = 0;

  /** Kills `child` when it says nothing for so long. */
  constructor(child: Child, silenceMs: number, silent: () => void) {
    this.#timer = setInterval(() => {
      if (++this.#quietTicks * tickMs < silenceMs) return;
      clearInterval(this.#timer);
      silent();
      child.kill();
    }, tickMs);
    void child.ended.then(() => clearInterval(this.#timer));
  }

  heard(): void {
    this.#quietTicks = 0;
  }
}
