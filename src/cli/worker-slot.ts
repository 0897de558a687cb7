/**
 * A launched worker and those that replace it: one process at a time in one place of this host. A worker that ends before the run
 * does is started again after a pause that grows, and not for ever.
 */

import { Child } from './child-process.js';

const firstPauseMs = 100;
const longestPauseMs = 15_000;
/** Ends within this time count as one series. */
const settledMs = 60_000;
const mostStarts = 6;

export interface SlotEvents {
  /** A line that it printed on stderr. */
  say(line: string): void;
  /** `final`: nobody will come in its place. */
  exited(pid: number, how: string, final: boolean): void;
}

export class WorkerSlot {
  readonly #args: readonly string[];
  readonly #events: SlotEvents;
  #child: Child;
  #startedMs = performance.now();
  #starts = 1;
  #timer: NodeJS.Timeout | undefined;
  #over = false;

  constructor(args: readonly string[], events: SlotEvents) {
    this.#args = args;
    this.#events = events;
    this.#child = this.#start();
  }

  /** The run is over: no other worker is started. */
  retire(): void {
    this.#over = true;
    clearTimeout(this.#timer);
  }

  /** Waits so long for the last worker to end by itself, then kills it. */
  async end(graceMs: number): Promise<void> {
    this.retire();
    await this.#child.end(graceMs);
  }

  kill(): void {
    this.retire();
    this.#child.kill();
  }

  #start(): Child {
    this.#startedMs = performance.now();
    const child = new Child(this.#args, { say: (line) => this.#events.say(line) });
    void child.ended.then(({ how, ok }) => {
      if (ok || this.#over) return;
      if (performance.now() - this.#startedMs > settledMs) this.#starts = 0;
      const final = this.#starts >= mostStarts;
      this.#events.exited(child.pid, how, final);
      if (final) return;
      const pauseMs = Math.min(longestPauseMs, firstPauseMs * 3 ** Math.max(0, this.#starts - 1));
      this.#timer = setTimeout(() => {
        this.#starts++;
        this.#child = this.#start();
      }, pauseMs);
    });
    return child;
  }
}
