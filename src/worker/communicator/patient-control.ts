/**
 * A worker's patience with its coordinator, as a control client around another one. While nothing is heard of the coordinator, a line
 * every ten seconds says where this worker waits, since when, and why there is no answer. A worker that has never heard of its
 * coordinator gives up after a limit; later, `coordinatorTimeoutMs` of the run's configuration takes the limit's place (heartbeat.ts).
 */

import { PeerLostError } from '../../shared/errors.js';
import { AwakeClock } from '../../shared/time/awake-clock.js';
import type { ControlClient, ControlClientEvents } from '../../shared/transport/transport.js';

const checkMs = 1_000;
const lineMs = 10_000;
/** Silence after which the coordinator's name is resolved again. */
const followMs = 2_000;

export interface Patience {
  /** The coordinator's address as it was given. */
  readonly endpoint: string;
  /** Time to wait for the first message of the coordinator; null: no limit. */
  readonly limitMs: number | null;
  readonly print: (line: string) => void;
}

export class PatientControlClient implements ControlClient {
  readonly #inner: ControlClient;
  readonly #patience: Patience;
  readonly #clock = new AwakeClock(4 * checkMs);
  #timer: NodeJS.Timeout | undefined;
  #events: ControlClientEvents | undefined;
  #heard = false;
  /** The last message of the coordinator, or the beginning. */
  #sinceMs = 0;
  #since = new Date();
  #lines = 0;
  #heartbeatMs = 0;
  #givingUp = false;

  constructor(inner: ControlClient, patience: Patience) {
    this.#inner = inner;
    this.#patience = patience;
  }

  get remoteEndpoint(): string | undefined {
    return this.#inner.remoteEndpoint;
  }

  connect(events: ControlClientEvents): void {
    this.#events = events;
    this.#sinceMs = this.#clock.now();
    this.#timer = setInterval(() => void this.#check(), checkMs);
    this.#inner.connect({
      ...events,
      message: (bytes) => {
        this.#heard = true;
        this.#sinceMs = this.#clock.now();
        this.#since = new Date();
        this.#lines = 0;
        events.message(bytes);
      },
    });
  }

  send(bytes: Buffer): void {
    this.#inner.send(bytes);
  }

  /** Sets the interval of the coordinator's heartbeats. */
  expectEvery(heartbeatMs: number): void {
    this.#heartbeatMs = heartbeatMs;
  }

  close(): Promise<void> {
    clearInterval(this.#timer);
    return this.#inner.close();
  }

  async #check(): Promise<void> {
    if (this.#givingUp) return;
    const { limitMs } = this.#patience;
    const waitedMs = this.#clock.now() - this.#sinceMs;
    if (waitedMs >= followMs + 2 * this.#heartbeatMs) this.#inner.follow?.();
    if (!this.#heard && limitMs !== null && waitedMs >= limitMs) {
      await this.#giveUp(limitMs);
    } else if (waitedMs >= (this.#lines + 1) * lineMs + 4 * this.#heartbeatMs) {
      this.#lines++;
      await this.#print(waitedMs);
    }
  }

  async #giveUp(limitMs: number): Promise<void> {
    this.#givingUp = true;
    const error = await this.#missing(limitMs);
    this.#givingUp = false;
    // An answer that arrived meanwhile has ended the wait.
    if (this.#heard) return;
    clearInterval(this.#timer);
    this.#events?.refused(error);
  }

  async #print(waitedMs: number): Promise<void> {
    const { endpoint, limitMs, print } = this.#patience;
    const since = this.#since;
    const reason = await this.#reason();
    // An answer that arrived meanwhile has ended the wait.
    if (since !== this.#since) return;
    const what = this.#heard ? 'to answer again' : 'to answer';
    const gone = `since ${since.toLocaleTimeString('en-GB')} (${inSeconds(waitedMs)})`;
    const end = this.#heard || limitMs === null ? '' : `; the limit is ${inSeconds(limitMs)}`;
    print(`Waiting for the coordinator at ${endpoint} ${what} ${gone}: ${reason}${end}.`);
  }

  async #missing(limitMs: number): Promise<PeerLostError> {
    const { endpoint } = this.#patience;
    return new PeerLostError(
      `No coordinator at ${endpoint}: waited ${inSeconds(limitMs)}, got no answer: ${await this.#reason()}. ` +
        'Start the coordinator, correct the address, or open its port in the firewall. --connect-timeout-ms sets the limit.',
      { who: 'coordinator', endpoint },
    );
  }

  async #reason(): Promise<string> {
    return (await this.#inner.diagnose?.()) ?? 'no answer';
  }
}

const inSeconds = (ms: number): string => `${Math.round(ms / 1_000)} s`;
