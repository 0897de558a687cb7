/**
 * The coordinator's end of the control plane over ZeroMQ: a ROUTER. It chooses the ids of the connections; a client cannot choose one,
 * and thus cannot impersonate another. control-client.ts is the workers' end.
 */

import { Router, type Context } from 'zeromq';
import { systemCode } from '../../errors.js';
import type { ServerKeys } from '../../security/curve-key.js';
import { requireKeys } from '../../security/endpoints.js';
import type { ConnectionId, ControlServer, ControlServerEvents } from '../transport.js';
import { Gatekeeper, mostConnections } from './gatekeeper.js';
import { restoreSocket } from './restore-socket.js';
import { Outbox, bind, common, newContext, onDisconnect, receiveLoop } from './sockets.js';

/** Limit of queued messages to a connection that does not read: minutes of heartbeats. Later messages are dropped. */
const maxUnread = 1_000;
/** Limit of queued messages of one connection; a client that floods the coordinator blocks itself. */
const receivingFromAnyone = { receiveHighWaterMark: 64 } as const;

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
