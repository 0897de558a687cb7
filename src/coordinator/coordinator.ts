/**
 * Performs what decide.ts decides: receives messages, measures time, sends messages and emits events. Holds no tensors.
 */

import { OperationalError } from '../shared/errors.js';
import type { LedgerEntry } from '../shared/ledger/entries.js';
import {
  controlMessageBytes,
  decodeWorkerMessage,
  encodeMessage,
  unknownPeerMessageBytes,
} from '../shared/protocol/codec.js';
import type { CoordinatorMessage } from '../shared/protocol/messages.js';
import { Refusals } from '../shared/protocol/refusals.js';
import type { RunEvent } from '../shared/runs/run-events.js';
import type { Span } from '../shared/timeline/spans.js';
import { AwakeClock } from '../shared/time/awake-clock.js';
import type { ConnectionId, ControlServer } from '../shared/transport/transport.js';
import { ArtefactStore } from './artefacts/artefact-store.js';
import { decide } from './decide.js';
import { initialState } from './initial-state.js';
import { canTakeOver } from './takeover.js';
import type { CoordinatorEvent } from './coordinator-event.js';
import type { Action, RunDescription, State } from './types.js';

export interface CoordinatorOptions extends RunDescription {
  readonly server: ControlServer;
  readonly emit: (event: RunEvent) => void;
  /** Stores entries of the audit ledger. */
  readonly record: (entries: readonly LedgerEntry[]) => void;
  /** Stores spans of a worker's timeline. */
  readonly trace: (rank: number, spans: readonly Span[]) => void;
  /** A monotonic clock in milliseconds; default: one that leaves out time in which this process was stopped. */
  readonly now?: () => number;
}

const timerMs = 100;
/** Delay before a probe. Connections that break within this time share the probe. */
const probeMs = 25;

interface EncodedMessage {
  readonly message: CoordinatorMessage;
  readonly bytes: Buffer;
}

export class Coordinator {
  readonly #options: CoordinatorOptions;
  readonly #now: () => number;
  /** Refused messages by kind. */
  readonly #refusals = new Refusals();
  readonly #artefacts: ArtefactStore;
  #state: State;
  #timer: NodeJS.Timeout | undefined;
  #probing: NodeJS.Timeout | undefined;
  #end: ((status: number) => void) | undefined;

  constructor(options: CoordinatorOptions) {
    this.#options = options;
    const clock = new AwakeClock();
    this.#now = options.now ?? (() => clock.now());
    const nowMs = this.#now();
    const { runId, out, config, inherited, server } = options;
    this.#artefacts = new ArtefactStore({
      runId,
      out,
      keep: config.keep,
      isSuccessor: inherited !== null,
      send: (to, message) => server.send(to, encodeMessage(message)),
    });
    this.#state = initialState({ ...options, folder: this.#artefacts.proof }, nowMs);
  }

  /** Resolves with the exit status once the run is over. */
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
    this.#timer = setInterval(() => this.handle({ kind: 'timer' }), timerMs);
    return ended.finally(async () => {
      clearInterval(this.#timer);
      clearTimeout(this.#probing);
      await this.#artefacts.close();
      await server.close();
    });
  }

  handle(event: CoordinatorEvent): void {
    const { state, actions } = decide(this.#state, event, this.#now());
    this.#state = state;
    let encoded: EncodedMessage | undefined;
    for (const action of actions) {
      if (action.kind === 'send') encoded = this.#send(action.to, action.message, encoded);
      else this.#perform(action);
    }
  }

  /** A message to all workers is encoded once. Returns the message with its bytes. */
  #send(to: ConnectionId, message: CoordinatorMessage, last: EncodedMessage | undefined): EncodedMessage {
    const encoded = last?.message === message ? last : { message, bytes: encodeMessage(message) };
    this.#options.server.send(to, encoded.bytes);
    return encoded;
  }

  #perform(action: Exclude<Action, { kind: 'send' }>): void {
    switch (action.kind) {
      case 'emit':
        this.#options.emit(action.event);
        break;
      case 'record':
        this.#options.record(action.entries);
        break;
      case 'trace':
        this.#options.trace(action.rank, action.spans);
        break;
      case 'receive':
        this.#artefacts.receive(action.from, action.message, action.parameterCount);
        break;
      case 'serve':
        this.#artefacts.serve(action.to, action.transfer, action.path);
        break;
      case 'end':
        this.#reportRefusals();
        this.#end?.(action.status);
        break;
    }
  }

  /**
   * Finds the worker whose connection broke. The transport does not identify the connection, which can also be that of an unknown peer.
   * A heartbeat is therefore sent to every worker. The send to a broken connection fails, and the server calls `unreachable`.
   */
  #probe(): void {
    this.#probing ??= setTimeout(() => {
      this.#probing = undefined;
      const heartbeat = encodeMessage({ type: 'heartbeat' });
      for (const { connection } of this.#state.workers.values())
        this.#options.server.send(connection, heartbeat);
    }, probeMs);
  }

  /** Emits a process warning instead of an event, so that `done` and `error` remain the last events. */
  #reportRefusals(): void {
    const summary = this.#refusals.summary();
    if (summary !== undefined) process.emitWarning(summary, { code: 'PROTOCOL' });
  }

  #onBytes(from: string, bytes: Uint8Array): void {
    try {
      const sender = this.#state.workers.get(from);
      // `ready` and `rejoin` contain hashes of many files.
      const isExpected = sender !== undefined || canTakeOver(this.#state);
      const maxBytes = isExpected ? controlMessageBytes : unknownPeerMessageBytes;
      const message = decodeWorkerMessage(bytes, `connection ${from}`, maxBytes);
      this.handle({ kind: 'message', from, message });
    } catch (error) {
      if (!(error instanceof OperationalError)) throw error;
      const count = this.#refusals.note(error);
      this.handle({ kind: 'refused', from, reason: error.message, count });
    }
  }
}
