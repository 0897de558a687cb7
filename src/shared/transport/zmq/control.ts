/**
 * The control plane over ZeroMQ: the coordinator's ROUTER and each worker's DEALER. ROUTER names the connections itself;
 * a client can't choose a name, so it can't take another's.
 */

import { Dealer, Router } from 'zeromq';
import type {
  ConnectionId,
  ControlClient,
  ControlClientEvents,
  ControlServer,
  ControlServerEvents,
} from '../transport.js';
import {
  Outbox,
  bind,
  common,
  newContext,
  onDisconnect,
  receiveLoop,
  receiving,
  sending,
} from './sockets.js';

const both = { ...sending, ...receiving };

class ZmqControlServer implements ControlServer {
  readonly endpoint: string;
  readonly #router: Router;
  readonly #outbox: Outbox<Buffer[]>;

  constructor(endpoint: string, router: Router) {
    this.endpoint = endpoint;
    this.#router = router;
    this.#outbox = new Outbox<Buffer[]>(router);
  }

  listen(events: ControlServerEvents): void {
    onDisconnect(this.#router, () => events.disconnected());
    void receiveLoop(this.#router, ([id, bytes, ...rest]) => {
      if (id && bytes && rest.length === 0) events.message(id.toString('hex'), bytes);
    });
  }

  send(to: ConnectionId, bytes: Buffer): void {
    this.#outbox.push([Buffer.from(to, 'hex'), bytes]);
  }

  close(): Promise<void> {
    return this.#outbox.close();
  }
}

class ZmqControlClient implements ControlClient {
  readonly #dealer: Dealer;
  readonly #outbox: Outbox<Buffer>;
  readonly #endpoint: string;

  constructor(endpoint: string, maxMessageBytes: number) {
    this.#endpoint = endpoint;
    this.#dealer = new Dealer({
      context: newContext(),
      ...common(maxMessageBytes),
      ...both,
      reconnectInterval: 100,
    });
    this.#outbox = new Outbox<Buffer>(this.#dealer);
  }

  connect(events: ControlClientEvents): void {
    onDisconnect(this.#dealer, () => events.disconnected());
    this.#dealer.connect(this.#endpoint);
    void receiveLoop(this.#dealer, ([bytes]) => {
      if (bytes) events.message(bytes);
    });
  }

  send(bytes: Buffer): void {
    this.#outbox.push(bytes);
  }

  close(): Promise<void> {
    return this.#outbox.close();
  }
}

/** Binds the coordinator's end. @throws ConfigError when the address is taken or malformed. */
export async function openControlServer(endpoint: string, maxMessageBytes: number): Promise<ControlServer> {
  const router = new Router({ context: newContext(), mandatory: true, ...common(maxMessageBytes), ...both });
  try {
    return new ZmqControlServer(await bind(router, endpoint), router);
  } catch (error) {
    router.close();
    throw error;
  }
}

export function openControlClient(endpoint: string, maxMessageBytes: number): ControlClient {
  return new ZmqControlClient(endpoint, maxMessageBytes);
}
