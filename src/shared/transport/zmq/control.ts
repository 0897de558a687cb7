/**
 * The control plane over ZeroMQ: the coordinator's ROUTER and each worker's DEALER. ROUTER chooses the ids of
 * the connections; a client cannot choose one, and thus cannot impersonate another.
 */

import { Dealer, Router, type Context } from 'zeromq';
import { systemCode, type OperationalError } from '../../errors.js';
import { refusal } from '../../protocol/refusals.js';
import type { ClientKeys, ServerKeys } from '../../security/curve-key.js';
import { requireKeys } from '../../security/endpoints.js';
import type {
  ConnectionId,
  ControlClient,
  ControlClientEvents,
  ControlServer,
  ControlServerEvents,
} from '../transport.js';
import { busyStatus, Gatekeeper, mostConnections } from './gatekeeper.js';
import { restoreSocket } from './restore-socket.js';
import {
  Outbox,
  bind,
  common,
  monitorOf,
  newContext,
  onDisconnect,
  receiveLoop,
  receiving,
  sending,
} from './sockets.js';

/** Limit of queued messages to a connection that does not read: minutes of heartbeats. Later messages are dropped. */
const maxUnread = 1_000;
/** Limit of queued messages of one connection; a client that floods the coordinator blocks itself. */
const receivingFromAnyone = { receiveHighWaterMark: 64 } as const;

const tooManyConnections = (): OperationalError =>
  refusal(
    'busy',
    'The coordinator has too many connections; this worker tries again every second. Find out which processes hold them, or use keys.',
  );

/** Time between two attempts to connect to a coordinator with too many connections. */
const busyRetryMs = 1_000;

/** Time between two looks at the file of the socket. */
const restoreMs = 500;

class ZmqControlServer implements ControlServer {
  readonly endpoint: string;
  readonly #router: Router;
  readonly #gate: Gatekeeper;
  readonly #outbox: Outbox<[Buffer, Buffer]>;
  #events: ControlServerEvents | undefined;
  #restoring: NodeJS.Timeout | undefined;

  constructor(endpoint: string, router: Router, gate: Gatekeeper) {
    this.endpoint = endpoint;
    this.#router = router;
    this.#gate = gate;
    this.#outbox = new Outbox<[Buffer, Buffer]>(router, ([to], error) => {
      if (systemCode(error) === 'EHOSTUNREACH') this.#events?.unreachable(to.toString('hex'));
    });
  }

  listen(events: ControlServerEvents): void {
    this.#events = events;
    this.#restoring = setInterval(() => this.#restore(), restoreMs);
    onDisconnect(this.#router, () => events.disconnected());
    void receiveLoop(this.#router, ([id, bytes, ...rest]) => {
      if (id && bytes && rest.length === 0) events.message(id.toString('hex'), bytes);
    });
  }

  send(to: ConnectionId, bytes: Buffer): void {
    this.#outbox.push([Buffer.from(to, 'hex'), bytes]);
  }

  /** A worker that is started after the socket's file was removed could not connect otherwise. */
  #restore(): void {
    // The next attempt follows a failed one.
    restoreSocket(this.#router, this.endpoint).catch(() => undefined);
  }

  async close(): Promise<void> {
    clearInterval(this.#restoring);
    await this.#outbox.close();
    this.#gate.close();
  }
}

class ZmqControlClient implements ControlClient {
  readonly #dealer: Dealer;
  readonly #outbox: Outbox<Buffer>;
  readonly #endpoint: string;
  readonly #keys: ClientKeys | null;
  /** Messages sent before the first connection, which would be lost with a handshake that fails; undefined afterwards. */
  #early: Buffer[] | undefined = [];
  /** Set while the connection waits to be tried again. */
  #retry: NodeJS.Timeout | undefined;

  constructor(endpoint: string, maxMessageBytes: number, keys: ClientKeys | null) {
    this.#endpoint = endpoint;
    this.#keys = keys;
    this.#dealer = new Dealer({
      context: newContext(),
      ...common(maxMessageBytes),
      ...sending,
      ...receiving,
      reconnectInterval: 100,
      ...(keys && {
        curveServerKey: keys.serverKey,
        curvePublicKey: keys.own.publicKey,
        curveSecretKey: keys.own.secretKey,
      }),
    });
    this.#outbox = new Outbox<Buffer>(this.#dealer);
  }

  connect(events: ControlClientEvents): void {
    this.#onRefusal(events);
    onDisconnect(this.#dealer, () => {
      if (this.#retry === undefined) events.disconnected();
    });
    monitorOf(this.#dealer).on('handshake', () => {
      this.#early?.forEach((bytes) => this.#outbox.push(bytes));
      this.#early = undefined;
    });
    this.#dealer.connect(this.#endpoint);
    void receiveLoop(this.#dealer, ([bytes]) => {
      if (bytes) events.message(bytes);
    });
  }

  send(bytes: Buffer): void {
    if (this.#early) this.#early.push(bytes);
    else this.#outbox.push(bytes);
  }

  close(): Promise<void> {
    clearTimeout(this.#retry);
    return this.#outbox.close();
  }

  /** ZeroMQ does not reconnect after the first of these events; after the second it would reconnect forever without success. */
  #onRefusal(events: ControlClientEvents): void {
    const keys = this.#keys;
    const monitor = monitorOf(this.#dealer);
    monitor.on('handshake:error:auth', ({ error }) => {
      if (error.status === busyStatus) {
        this.#connectLater();
        events.busy?.(tooManyConnections());
        return;
      }
      events.refused(
        keys
          ? `it does not allow the key ${keys.own.publicKey}. Put that key's .pub file into the coordinator's folder of authorized keys`
          : `it answered the handshake with status ${error.status}. Run the same version of Lockstep everywhere`,
      );
    });
    monitor.on('handshake:error:protocol', ({ error }) => {
      if (error.code !== 'ERR_ZMTP_MECHANISM_MISMATCH') return;
      events.refused(
        keys
          ? 'it uses no CURVE keys, and this worker does. Start it with --keys too'
          : 'it requires CURVE keys. Give --keys DIR, made by `lockstep keygen`',
      );
    });
  }

  #connectLater(): void {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      if (this.#dealer.closed) return;
      this.#dealer.disconnect(this.#endpoint);
      this.#dealer.connect(this.#endpoint);
    }, busyRetryMs);
  }
}

/**
 * Binds the coordinator's end.
 * @param maxConnections maximum number of open connections, without keys only
 * @throws ConfigError when the address is taken or malformed, or other hosts can reach it and there are no keys
 */
export async function openControlServer(
  endpoint: string,
  maxMessageBytes: number,
  keys: ServerKeys | null = null,
  maxConnections = mostConnections,
): Promise<ControlServer> {
  requireKeys(endpoint, keys !== null);
  const context: Context = newContext();
  const gate = await Gatekeeper.open(context, { keys, maxConnections });
  const router = new Router({
    context,
    ...common(maxMessageBytes),
    ...receivingFromAnyone,
    ...gate.guarded,
    // Together these never block on a connection that does not read, and report which connection is gone.
    mandatory: true,
    sendTimeout: 0,
    sendHighWaterMark: maxUnread,
  });
  gate.watch(router);
  try {
    return new ZmqControlServer(await bind(router, endpoint), router, gate);
  } catch (error) {
    router.close();
    gate.close();
    throw error;
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
