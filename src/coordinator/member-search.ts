/**
 * Finds out whether workers of an earlier run are alive, before the new coordinator decides how the run continues. Listens at the address
 * to which these workers reconnect, and asks each connection for its membership with `identify`. The first `rejoin` of the run ends the
 * search. Afterwards this is the control server of the coordinator: workers that have joined meanwhile are handed over to it. All other
 * messages are dropped, because a member repeats its reports when the coordinator sends `identify` again.
 */

import { OperationalError } from '../shared/errors.js';
import { decodeWorkerMessage, encodeMessage, unknownPeerMessageBytes } from '../shared/protocol/codec.js';
import type { CoordinatorMessage, WorkerMessage } from '../shared/protocol/messages.js';
import type { ConnectionId, ControlServer, ControlServerEvents } from '../shared/transport/transport.js';
import { abortMessage } from './actions.js';
import { otherRunMessage } from './takeover.js';

/** Largest number of workers that have joined and are handed over. Further ones get no answer, and end after their connect timeout. */
const mostHeld = 2_048;

export interface MemberSearchOptions {
  /** The earlier run. */
  readonly runId: string;
  /** Time in which a living member usually answers. It takes longer if a host name has to be resolved again. */
  readonly usualMs: number;
  /** Longest search: later no member waits for a coordinator any more. */
  readonly mostMs: number;
  /** Number of workers that the run needs. If as many have joined after `usualMs`, they have replaced the members. */
  readonly workers: number;
  /** Called repeatedly: returns true if no worker of the run can be alive any more, which ends the search. */
  readonly isHopeless: () => boolean;
  /** Receives the reason why a worker was refused. */
  readonly warn: (message: string) => void;
}

/** Time between two calls of `isHopeless`. */
const pollMs = 100;

export class MemberSearch implements ControlServer {
  readonly #server: ControlServer;
  readonly #held = new Map<ConnectionId, Uint8Array>();
  readonly #identified = new Set<ConnectionId>();
  #options: MemberSearchOptions | undefined;
  #end: ((isFound: boolean) => void) | undefined;
  #events: ControlServerEvents | undefined;

  constructor(server: ControlServer) {
    this.#server = server;
    server.listen({
      message: (from, bytes) =>
        this.#events ? this.#events.message(from, bytes) : this.#onBytes(from, bytes),
      disconnected: () => this.#events?.disconnected(),
      unreachable: (to) => this.#events?.unreachable(to),
    });
  }

  get endpoint(): string {
    return this.#server.endpoint;
  }

  /** Resolves with true as soon as a member of the run answers, and with false if none does. */
  async search(options: MemberSearchOptions): Promise<boolean> {
    this.#options = options;
    const { usualMs, mostMs, workers, isHopeless } = options;
    const startMs = performance.now();
    let poll: NodeJS.Timeout | undefined;
    try {
      return await new Promise<boolean>((resolve) => {
        this.#end = resolve;
        const check = (): void => {
          const elapsedMs = performance.now() - startMs;
          const isReplaced = elapsedMs >= usualMs && this.#held.size >= workers;
          if (isReplaced || elapsedMs >= mostMs || isHopeless()) resolve(false);
        };
        poll = setInterval(check, pollMs);
        check();
      });
    } finally {
      clearInterval(poll);
      this.#end = undefined;
    }
  }

  listen(events: ControlServerEvents): void {
    this.#events = events;
    for (const [from, bytes] of this.#held) events.message(from, bytes);
    this.#held.clear();
  }

  send(to: ConnectionId, bytes: Buffer): void {
    this.#server.send(to, bytes);
  }

  close(): Promise<void> {
    return this.#server.close();
  }

  #onBytes(from: ConnectionId, bytes: Uint8Array): void {
    let message: WorkerMessage;
    try {
      message = decodeWorkerMessage(bytes, `connection ${from}`);
    } catch (error) {
      if (error instanceof OperationalError) return;
      throw error;
    }
    if (message.type === 'join') {
      if (bytes.length <= unknownPeerMessageBytes && this.#held.size < mostHeld) this.#held.set(from, bytes);
    } else if (message.type === 'rejoin') {
      this.#onRejoin(from, message);
    } else if (message.type !== 'failed' && message.type !== 'leave' && !this.#identified.has(from)) {
      this.#identified.add(from);
      this.#reply(from, { type: 'identify' });
    }
  }

  #onRejoin(from: ConnectionId, rejoin: Extract<WorkerMessage, { type: 'rejoin' }>): void {
    if (this.#options === undefined) return;
    const { runId, warn } = this.#options;
    if (rejoin.runId === runId) {
      this.#end?.(true);
      return;
    }
    const message = otherRunMessage(runId, rejoin);
    this.#reply(from, abortMessage({ code: 'STALE_GENERATION', message }));
    warn(message);
  }

  #reply(to: ConnectionId, message: CoordinatorMessage): void {
    this.send(to, encodeMessage(message));
  }
}
