/**
 * A worker's end of the control plane over ZeroMQ: a DEALER. It finds the coordinator, also one that comes back with another address
 * under the same name, and tells why it does not reach it.
 */

import { Dealer } from 'zeromq';
import type { ConfigError, OperationalError } from '../../errors.js';
import { refusal } from '../../protocol/refusals.js';
import type { ClientKeys } from '../../security/curve-key.js';
import { requireKeys } from '../../security/endpoints.js';
import type { ControlClient, ControlClientEvents } from '../transport.js';
import {
  ControlTrouble,
  otherMechanism,
  otherProgram,
  reasonOf,
  refusedKey,
  refusedStatus,
} from './control-trouble.js';
import { Dialer, mayMove } from './dialer.js';
import { busyStatus } from './gatekeeper.js';
import {
  Outbox,
  common,
  connecting,
  handshakeMs,
  isClosed,
  monitorOf,
  newContext,
  onDisconnect,
  receiveLoop,
  receiving,
  sending,
} from './sockets.js';

const tooManyConnections = (): OperationalError =>
  refusal(
    'busy',
    'The coordinator has too many connections; this worker tries again every second. Find out which processes hold them, or use keys.',
  );

/** Time between two attempts after one that ZeroMQ does not repeat by itself. */
const redialMs = 1_000;

class ZmqControlClient implements ControlClient {
  readonly #dealer: Dealer;
  readonly #outbox: Outbox<Buffer>;
  readonly #keys: ClientKeys | null;
  readonly #dialer: Dialer;
  readonly #trouble: ControlTrouble;
  /** Messages sent before the first connection, which would be lost with a handshake that fails; undefined afterwards. */
  #early: Buffer[] | undefined = [];
  /** True from a handshake to the end of its connection. */
  #established = false;
  /** True while a failed handshake is being looked into. */
  #examining = false;
  /** ZeroMQ will try again by itself. */
  #retrying = false;
  #connectedMs = 0;
  /** The coordinator is busy, and has said so. */
  #busy = false;
  #redial: NodeJS.Timeout | undefined;

  constructor(endpoint: string, maxMessageBytes: number, keys: ClientKeys | null) {
    this.#keys = keys;
    this.#dealer = new Dealer({
      context: newContext(),
      ...common(maxMessageBytes),
      ...connecting,
      ...sending,
      ...receiving,
      reconnectInterval: 100,
      // A connection that moves to another address keeps no messages for the old one.
      immediate: mayMove(endpoint),
      ...(keys && {
        curveServerKey: keys.serverKey,
        curvePublicKey: keys.own.publicKey,
        curveSecretKey: keys.own.secretKey,
      }),
    });
    this.#outbox = new Outbox<Buffer>(this.#dealer);
    this.#dialer = new Dialer(this.#dealer, endpoint);
    this.#trouble = new ControlTrouble(endpoint, keys);
  }

  get remoteEndpoint(): string | undefined {
    return this.#dialer.target;
  }

  connect(events: ControlClientEvents): void {
    this.#watchHandshakes(events);
    this.#dialer.start();
    void receiveLoop(this.#dealer, ([bytes]) => {
      // ZeroMQ takes the bytes of a program that does not speak ZeroMQ for messages of its first version, without a handshake. A
      // coordinator sends nothing before it has received a message, which leaves this end after the handshake.
      if (bytes && !this.#early) events.message(bytes);
    });
  }

  send(bytes: Buffer): void {
    if (this.#early) this.#early.push(bytes);
    else this.#outbox.push(bytes);
  }

  follow(): void {
    this.#dialer.follow();
  }

  async diagnose(): Promise<string> {
    if (this.#established) return 'connected, but it does not answer';
    const { target, unresolved } = this.#dialer;
    if (unresolved !== undefined) return reasonOf(unresolved);
    return target === undefined ? 'not connected yet' : this.#trouble.describe(target);
  }

  close(): Promise<void> {
    clearTimeout(this.#redial);
    this.#dialer.close();
    return this.#outbox.close();
  }

  #watchHandshakes(events: ControlClientEvents): void {
    const monitor = monitorOf(this.#dealer);
    this.#onRefusal(events);
    monitor.on('handshake', () => {
      this.#established = true;
      this.#busy = false;
      this.#trouble.clear();
      this.#early?.forEach((bytes) => this.#outbox.push(bytes));
      this.#early = undefined;
    });
    monitor.on('connect', () => {
      this.#retrying = false;
      this.#connectedMs = performance.now();
    });
    monitor.on('connect:retry', () => (this.#retrying = true));
    onDisconnect(this.#dealer, () => {
      const wasEstablished = this.#established;
      this.#established = false;
      if (wasEstablished) events.disconnected();
      else if (!this.#busy) void this.#examine(events);
    });
  }

  /** A refusal by the coordinator's gatekeeper, or by ZeroMQ, after which it does not connect again. */
  #onRefusal(events: ControlClientEvents): void {
    const keys = this.#keys;
    const monitor = monitorOf(this.#dealer);
    monitor.on('handshake:error:auth', ({ error }) => {
      this.#busy = error.status === busyStatus;
      if (this.#busy) {
        this.#redialLater();
        events.busy?.(tooManyConnections());
      } else events.refused(keys ? refusedKey(keys) : refusedStatus(error.status));
    });
    monitor.on('handshake:error:protocol', ({ error, address }) => {
      if (error.code === 'ERR_ZMTP_MECHANISM_MISMATCH') events.refused(otherMechanism(keys));
      // A coordinator with another key, or not a coordinator: it answered the greeting with something that a coordinator does not send.
      else if (error.code !== 'ERR_ZMTP_CRYPTOGRAPHIC') events.refused(otherProgram(address));
    });
  }

  /** A connection was established and ended without a handshake. */
  async #examine(events: ControlClientEvents): Promise<void> {
    const { target } = this.#dialer;
    if (this.#examining || target === undefined || this.#dealer.closed) return;
    this.#examining = true;
    let error: ConfigError | undefined;
    try {
      const timedOut = performance.now() - this.#connectedMs > handshakeMs / 2;
      error = await this.#trouble.handshakeFailed(target, timedOut);
    } finally {
      this.#examining = false;
    }
    if (isClosed(this.#dealer)) return;
    if (error) events.refused(error);
    else if (!this.#retrying && !this.#established) this.#redialLater();
  }

  #redialLater(): void {
    clearTimeout(this.#redial);
    this.#redial = setTimeout(() => this.#dialer.redial(), redialMs);
  }
}

/** @throws ConfigError when other hosts can reach the address and there are no keys */
export function openControlClient(
  endpoint: string,
  maxMessageBytes: number,
  keys: ClientKeys | null = null,
): ControlClient {
  requireKeys(endpoint, keys !== null);
  return new ZmqControlClient(endpoint, maxMessageBytes, keys);
}
