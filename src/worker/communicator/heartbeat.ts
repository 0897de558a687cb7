/** The heartbeat timer of a worker. Sends heartbeats, and detects a coordinator that is silent for too long. */

import { AwakeClock } from '../../shared/time/awake-clock.js';

/** A shorter gap between two calls of the timer is no suspension of this process. */
const minGapMs = 1_000;

/** CPU and memory of this process, with all of its threads. */
export interface ProcessUsage {
  /** CPU time since the start of the process. */
  readonly cpuMs: number;
  /** Wall time since the start of the process, by a clock that is never set. */
  readonly uptimeMs: number;
  /** Resident memory. */
  readonly memoryBytes: number;
}

export interface HeartbeatOptions {
  readonly intervalMs: number;
  /** Silence of the coordinator after which `silent` is called. */
  readonly timeoutMs: number;
  readonly send: (usage: ProcessUsage) => void;
  /** Called at each interval once the coordinator has been silent for `timeoutMs`. */
  readonly silent: (silentMs: number) => void;
}

export class Heartbeat {
  readonly #options: HeartbeatOptions;
  readonly #timer: NodeJS.Timeout;
  readonly #clock: AwakeClock;
  #lastHeardMs: number;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    this.#clock = new AwakeClock(Math.max(minGapMs, 4 * options.intervalMs));
    this.#lastHeardMs = this.#clock.now();
    this.#timer = setInterval(() => this.#beat(), options.intervalMs);
  }

  /** Called with each message of the coordinator. */
  heard(): void {
    this.#lastHeardMs = this.#clock.now();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #beat(): void {
    const { send, silent, timeoutMs } = this.#options;
    send(processUsage());
    const silentMs = this.#clock.now() - this.#lastHeardMs;
    if (silentMs > timeoutMs) silent(silentMs);
  }
}

function processUsage(): ProcessUsage {
  const { user, system } = process.cpuUsage();
  return {
    cpuMs: Math.round((user + system) / 1000),
    uptimeMs: Math.round(process.uptime() * 1000),
    memoryBytes: process.memoryUsage.rss(),
  };
}
