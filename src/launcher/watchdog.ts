/**
 * Kills a child process that has stopped sending messages. The watchdog counts its own ticks instead of reading a clock. A suspended
 * launcher receives no messages, and by a clock it would attribute this silence to the child.
 */

import type { Child } from './child-process.js';

const tickMs = 250;

export class Watchdog {
  readonly #timer: NodeJS.Timeout;
  #quietTicks = 0;

  /** Calls `onHang` and kills `child` after `timeoutMs` without a call of `reset`. */
  constructor(child: Child, timeoutMs: number, onHang: () => void) {
    this.#timer = setInterval(() => {
      if (++this.#quietTicks * tickMs < timeoutMs) return;
      clearInterval(this.#timer);
      onHang();
      child.kill();
    }, tickMs);
    void child.ended.then(() => clearInterval(this.#timer));
  }

  /** To be called for every message of the child. */
  reset(): void {
    this.#quietTicks = 0;
  }
}
