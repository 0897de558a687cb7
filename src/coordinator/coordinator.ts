/**
 * Carries out what membership.ts decides: reads messages, keeps the clock, sends and emits. Holds no tensors.
 */

import { OperationalError } from '../shared/errors.js';
import type { LedgerEntry } from '../shared/ledger/entries.js';
import {
  controlMessageBytes,
  decodeWorkerMessage,
  encodeMessage,
  strangerMessageBytes,
} from '../shared/protocol/codec.js';
import { Refusals } from '../shared/protocol/refusals.js';
import type { Span } from '../shared/timeline/spans.js';
import type { RunEvent } from '../shared/runs/run-events.js';
import type { ControlServer } from '../shared/transport/transport.js';
import { decide } from './membership.js';
import { initialState, type CoordinatorEvent, type RunDescription, type State } from './state.js';

export interface CoordinatorOptions extends RunDescription {
  readonly server: ControlServer;
  readonly emit: (event: RunEvent) => void;
  /** Keeps entries of the audit ledger. */
  readonly record: (entries: readonly LedgerEntry[]) => void;
  /** Keeps spans of a worker's time line. */
  readonly trace: (rank: number, spans: readonly Span[]) => void;
  /** Milliseconds; monotonic. */
  readonly now?: () => number;
}

const tickMs = 100;
/** Breaks that come together are looked into together. */
const probeMs = 25;

export class Coordinator {
  readonly #options: CoordinatorOptions;
  readonly #now: () => number;
  /** Refused messages by sender. */
  readonly #refusals = new Refusals();
  #state: State;
  #timer: NodeJS.Timeout | undefined;
  #probing: NodeJS.Timeout | undefined;
  #end: ((status: number) => void) | undefined;

  constructor(options: CoordinatorOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    const nowMs = this.#now();
    this.#state = initialState(options, nowMs);
  }

  /** Runs until the run is over; resolves with the exit status. */
  run(): Promise<number> {
    const { server, emit, runId, config, out, inherited } = this.#options;
    if (inherited === null) emit({ event: 'run', runId, config, out });
    const ended = new Promise<number>((resolve) => (this.#end = resolve));
    server.listen({
      message: (from, bytes) => this.#onBytes(from, bytes),
      disconnected: () => this.#probe(),
      unreachable: (connection) => {
        if (this.#state.workers.has(connection)) this.handle({ kind: 'disconnected' });
      },
    });
    this.#timer = setInterval(() => this.handle({ kind: 'tick' }), tickMs);
    return ended.finally(async () => {
      clearInterval(this.#timer);
      clearTimeout(this.#probing);
      await server.close();
    });
  }

  handle(event: CoordinatorEvent): void {
    const { state, actions } = decide(this.#state, event, this.#now());
    this.#state = state;
    for (const action of actions) {
      switch (action.kind) {
        case 'send':
          this.#options.server.send(action.to, encodeMessage(action.message));
          break;
        case 'emit':
          this.#options.emit(action.event);
          break;
        case 'record':
          this.#options.record(action.entries);
          break;
        case 'trace':
          this.#options.trace(action.rank, action.spans);
          break;
        case 'end':
          this.#sayRefusals();
          this.#end?.(action.status);
          break;
      }
    }
  }

  /** Some connection broke. Strangers come and go; whether it was a worker's shows when it is sent something. */
  #probe(): void {
    this.#probing ??= setTimeout(() => {
      this.#probing = undefined;
      const heartbeat = encodeMessage({ type: 'heartbeat' });
      for (const connection of this.#state.workers.keys()) this.#options.server.send(connection, heartbeat);
    }, probeMs);
  }

  /** Not an event: `done` and `error` stay the last of these. */
  #sayRefusals(): void {
    const summary = this.#refusals.summary();
    if (summary !== undefined) process.emitWarning(summary, { code: 'PROTOCOL' });
  }

  #onBytes(from: string, bytes: Uint8Array): void {
    try {
      const most = this.#state.workers.get(from)?.ready ? controlMessageBytes : strangerMessageBytes;
      const message = decodeWorkerMessage(bytes, `connection ${from}`, most);
      this.handle({ kind: 'message', from, message });
    } catch (error) {
      if (!(error instanceof OperationalError)) throw error;
      const count = this.#refusals.note(error);
      this.handle({ kind: 'refused', from, reason: error.message, count });
    }
  }
}
