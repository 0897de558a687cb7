/**
 * Both planes inside one process, without sockets: for `--single-process` and for tests. A message is copied when it is sent and
 * delivered in a later turn of the event loop, as over a network.
 */

import { InvariantError } from '../errors.js';
import type { Frame } from '../protocol/frame.js';
import type { Rank } from '../sharding/identifiers.js';
import type {
  ControlClient,
  ControlClientEvents,
  ControlServer,
  ControlServerEvents,
  DataPlane,
  DataPlaneEvents,
  PeerAddress,
} from './transport.js';

/** A set of data planes that can connect to each other. */
export class MemoryNetwork {
  readonly #planes = new Map<string, MemoryDataPlane>();
  #next = 0;

  open(): DataPlane {
    const endpoint = `memory://${this.#next++}`;
    const plane = new MemoryDataPlane(endpoint, this.#planes);
    this.#planes.set(endpoint, plane);
    return plane;
  }
}

class MemoryDataPlane implements DataPlane {
  readonly endpoint: string;
  readonly #planes: Map<string, MemoryDataPlane>;
  #peers = new Map<Rank, string>();
  #events: DataPlaneEvents | undefined;
  /** Frames that arrived before `connect`, which a real socket queues too. */
  #waiting: Frame[] = [];

  constructor(endpoint: string, planes: Map<string, MemoryDataPlane>) {
    this.endpoint = endpoint;
    this.#planes = planes;
  }

  connect(peers: readonly PeerAddress[], events: DataPlaneEvents): void {
    this.#peers = new Map(peers.map(({ rank, endpoint }) => [rank, endpoint]));
    this.#events = events;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const frame of waiting) setImmediate(() => this.#events?.frame(frame));
  }

  send(to: Rank, frame: Frame): void {
    const endpoint = this.#peers.get(to);
    if (endpoint === undefined) throw new InvariantError(`no peer has rank ${to}`);
    const copy = frame.map((part) => Buffer.from(part));
    setImmediate(() => this.#planes.get(endpoint)?.deliver(copy));
  }

  deliver(frame: Frame): void {
    if (this.#events) this.#events.frame(frame);
    else this.#waiting.push(frame);
  }

  close(): Promise<void> {
    if (this.#planes.delete(this.endpoint)) {
      for (const plane of this.#planes.values()) plane.peerClosed(this.endpoint);
    }
    return Promise.resolve();
  }

  peerClosed(endpoint: string): void {
    for (const [rank, at] of this.#peers) {
      if (at === endpoint) setImmediate(() => this.#events?.disconnected(rank));
    }
  }
}

/** A control server and its clients. */
export class MemoryControl implements ControlServer {
  readonly endpoint = 'memory://coordinator';
  readonly #clients = new Map<string, (bytes: Buffer | undefined) => void>();
  #events: ControlServerEvents | undefined;
  #next = 0;

  listen(events: ControlServerEvents): void {
    this.#events = events;
  }

  send(to: string, bytes: Buffer): void {
    const deliver = this.#clients.get(to);
    const copy = Buffer.from(bytes);
    setImmediate(() => {
      if (deliver) deliver(copy);
      else this.#events?.unreachable(to);
    });
  }

  close(): Promise<void> {
    this.#events = undefined;
    for (const deliver of this.#clients.values()) setImmediate(() => deliver(undefined));
    this.#clients.clear();
    return Promise.resolve();
  }

  client(): ControlClient {
    const id = `memory-${this.#next++}`;
    return {
      connect: (events: ControlClientEvents) => {
        this.#clients.set(id, (bytes) => (bytes ? events.message(bytes) : events.disconnected()));
      },
      send: (bytes: Buffer) => {
        const copy = Buffer.from(bytes);
        setImmediate(() => this.#events?.message(id, copy));
      },
      close: () => {
        if (this.#clients.delete(id)) setImmediate(() => this.#events?.disconnected());
        return Promise.resolve();
      },
    };
  }
}
