/**
 * A launched worker and those that replace it: one process at a time in one place of this host. A worker that ends before the run
 * does is started again after a pause that grows, and not for ever.
 */

import { Child } from './child-process.js';
import { RecentEnds } from './recent-exits.js';

const firstPauseMs = 100;
const longestPauseMs = 15_000;
/** Within a minute. */
const mostEnds = 6;
/** A worker that was given up is told to end; if it hangs it can't. */
const expelMs = 5_000;

export interface SlotEvents {
  /** A line that it printed on stderr. */
  say(line: string): void;
  /** `final`: nobody will come in its place. */
  exited(pid: number, how: string, final: boolean): void;
}

export class WorkerSlot {
  readonly #args: readonly string[];
  readonly #events: SlotEvents;
  readonly #ends = new RecentEnds();
  #child: Child;
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

  /** The run goes on without this process: it makes room for the one that replaces it. */
  expel(pid: number): void {
    if (this.#child.pid === pid && !this.#over) void this.#child.end(expelMs);
  }

  #start(): Child {
    const child = new Child(this.#args, { say: (line) => this.#events.say(line) });
    void child.ended.then(({ how, ok }) => {
      if (ok || this.#over) return;
      const ends = this.#ends.add();
      const final = ends >= mostEnds;
      this.#events.exited(child.pid, how, final);
      if (final) return;
      const pauseMs = Math.min(longestPauseMs, firstPauseMs * 3 ** (ends - 1));
      this.#timer = setTimeout(() => (this.#child = this.#start()), pauseMs);
    });
    return child;
  }
}
