/**
 * A worker slot: one worker process at a time at a fixed index of this host. A worker that ends with another status
 * than 0 before the run ends is restarted after a growing pause, up to a limit.
 */

import { Child } from './child-process.js';
import { RecentExits } from './recent-exits.js';

const firstPauseMs = 100;
const longestPauseMs = 15_000;
/** Number of exits within a minute after which the slot is given up. */
const mostExits = 6;
/** A worker that the coordinator has excluded is killed if it has not ended after this time. */
const excludedGraceMs = 5_000;

export interface WorkerSlotEvents {
  /** A line that the worker printed on stderr. */
  onLine(line: string): void;
  /** @param final true if no other worker will be started in this slot */
  onExit(pid: number, how: string, final: boolean): void;
}

export class WorkerSlot {
  readonly #args: readonly string[];
  readonly #events: WorkerSlotEvents;
  readonly #exits = new RecentExits();
  #child: Child;
  #timer: NodeJS.Timeout | undefined;
  #retired = false;

  constructor(args: readonly string[], events: WorkerSlotEvents) {
    this.#args = args;
    this.#events = events;
    this.#child = this.#start();
  }

  /** The run is over: no other worker is started. */
  retire(): void {
    this.#retired = true;
    clearTimeout(this.#timer);
  }

  /** Retires the slot, waits up to `graceMs` for its worker to end by itself, then kills it. */
  async end(graceMs: number): Promise<void> {
    this.retire();
    await this.#child.end(graceMs);
  }

  kill(): void {
    this.retire();
    this.#child.kill();
  }

  /**
   * The run continues without the worker process `pid`. If that process is this slot's worker, it is ended, and a new worker replaces it.
   */
  replace(pid: number): void {
    if (this.#child.pid === pid && !this.#retired) void this.#child.end(excludedGraceMs);
  }

  #start(): Child {
    const child = new Child(this.#args, { onLine: (line) => this.#events.onLine(line) });
    void child.ended.then(({ how, ok }) => {
      if (ok || this.#retired) return;
      const exits = this.#exits.add();
      const final = exits >= mostExits;
      this.#events.onExit(child.pid, how, final);
      if (final) return;
      const pauseMs = Math.min(longestPauseMs, firstPauseMs * 3 ** (exits - 1));
      this.#timer = setTimeout(() => (this.#child = this.#start()), pauseMs);
    });
    return child;
  }
}
