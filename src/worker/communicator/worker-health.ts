/**
 * The health of a worker, as its communicator thread observes it. The main thread computes and blocks, so it cannot answer itself. It is
 * alive if it makes progress, if it waits for other workers, or if its event loop turns.
 */

import type { Health, HealthProbes } from '../../shared/http/health-server.js';
import type { CoordinatorMessage, WorkerMessage } from '../../shared/protocol/messages.js';
import { AwakeClock } from '../../shared/time/awake-clock.js';

/** Interval at which the main thread is observed, and at which it shows that its event loop turns. */
export const observationMs = 500;

/** A longer time between two observations is time in which this process was stopped. */
const maxGapMs = 4 * observationMs;

export interface ObservedThread {
  /** A number that changes with each progress of the main thread. */
  progress(): number;
  /** True while the main thread waits for other workers. */
  isWaiting(): boolean;
}

export class WorkerHealth implements HealthProbes {
  readonly #thread: ObservedThread;
  readonly #clock: AwakeClock;
  #phase: Exclude<Health, 'ok' | 'hung' | 'starting'> | 'member' = 'connecting';
  /** Time without progress after which the main thread counts as hung: that of the coordinator. */
  #limitMs = Infinity;
  #stepTimeoutMs = Infinity;
  #progress: number;
  #progressMs: number;
  /** The time at which the last generation has ended; undefined while this worker is a member of one. */
  #endedMs: number | undefined;

  /** @param raw a monotonic clock in milliseconds */
  constructor(thread: ObservedThread, raw?: () => number) {
    this.#thread = thread;
    this.#clock = new AwakeClock(maxGapMs, raw);
    this.#progress = thread.progress();
    this.#progressMs = this.#clock.now();
  }

  /** To be called every `observationMs`. */
  observe(): void {
    const nowMs = this.#clock.now();
    const progress = this.#thread.progress();
    if (progress === this.#progress && !this.#thread.isWaiting()) return;
    this.#progress = progress;
    this.#progressMs = nowMs;
  }

  received(message: CoordinatorMessage): void {
    if (message.type === 'welcome') {
      this.#phase = 'loading';
      // Loading the engine and the data blocks the event loop for a long time.
      this.#limitMs = message.config.joinTimeoutMs;
      this.#stepTimeoutMs = message.config.stepTimeoutMs;
    }
    if (message.type === 'finish') this.#phase = 'finished';
    if (message.type === 'abort') this.#phase = 'failed';
  }

  sent(message: WorkerMessage): void {
    if (message.type === 'ready') {
      this.#phase = 'standby';
      this.#limitMs = this.#stepTimeoutMs;
    }
    if (message.type === 'failed') this.failed();
  }

  joined(): void {
    if (this.#phase === 'standby') this.#phase = 'member';
    this.#endedMs = undefined;
  }

  generationEnded(): void {
    this.#endedMs = this.#clock.now();
  }

  failed(): void {
    if (this.#phase !== 'finished') this.#phase = 'failed';
  }

  live(): Health {
    this.observe();
    return this.#clock.now() - this.#progressMs > this.#limitMs ? 'hung' : 'ok';
  }

  ready(): Health {
    const live = this.live();
    if (live !== 'ok') return live;
    if (this.#phase !== 'member') return this.#phase;
    // Between two generations a member remains ready, unless the next one does without it.
    const isWithout = this.#endedMs !== undefined && this.#clock.now() - this.#endedMs > this.#stepTimeoutMs;
    return isWithout ? 'standby' : 'ok';
  }
}
