/** The heartbeat timer of a worker. Sends heartbeats, and detects a coordinator that is silent for too long. */

export interface HeartbeatOptions {
  readonly intervalMs: number;
  /** Silence of the coordinator after which `silent` is called. */
  readonly timeoutMs: number;
  readonly send: () => void;
  /** Called at each interval once the coordinator has been silent for `timeoutMs`. */
  readonly silent: (silentMs: number) => void;
}

export class Heartbeat {
  readonly #options: HeartbeatOptions;
  readonly #timer: NodeJS.Timeout;
  #lastHeardMs = performance.now();

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#beat(), options.intervalMs);
  }

  /** Called with each message of the coordinator. */
  heard(): void {
    this.#lastHeardMs = performance.now();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #beat(): void {
    const { send, silent, timeoutMs } = this.#options;
    send();
    const silentMs = performance.now() - this.#lastHeardMs;
    if (silentMs > timeoutMs) silent(silentMs);
  }
}
