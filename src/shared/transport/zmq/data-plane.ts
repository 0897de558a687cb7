/**
 * The workers' mesh over ZeroMQ: one PULL bound, one PUSH connected to each peer. Over ipc on one host, over TCP
 * otherwise. A frame is one message, its parts are the message's.
 */

import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { Pull, Push, type Context } from 'zeromq';
import { InvariantError } from '../../errors.js';
import type { Frame } from '../../protocol/frame.js';
import type { Rank } from '../../words.js';
import type { DataPlane, DataPlaneEvents, PeerAddress } from '../transport.js';
import { receivedMemory } from './received-memory.js';
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

export interface DataPlaneOptions {
  /** Folder for ipc sockets, private to the user; null: TCP. */
  readonly socketDirectory: string | null;
  /** Address to listen on and to tell the peers, for TCP. */
  readonly host: string;
  /** Longest frame in bytes; ZeroMQ drops a connection that sends a longer one. */
  readonly maxFrameBytes: number;
}

class ZmqDataPlane implements DataPlane {
  readonly endpoint: string;
  readonly #context: Context;
  readonly #pull: Pull;
  readonly #options: DataPlaneOptions;
  readonly #peers = new Map<Rank, Outbox<Buffer[]>>();
  #events: DataPlaneEvents | undefined;
  #receiving = false;

  constructor(endpoint: string, context: Context, pull: Pull, options: DataPlaneOptions) {
    this.endpoint = endpoint;
    this.#context = context;
    this.#pull = pull;
    this.#options = options;
  }

  connect(peers: readonly PeerAddress[], events: DataPlaneEvents): void {
    for (const old of this.#peers.values()) old.abandon();
    this.#peers.clear();
    this.#events = events;
    for (const { rank, endpoint } of peers) {
      const push = new Push({ context: this.#context, ...common(this.#options.maxFrameBytes), ...sending });
      const outbox = new Outbox<Buffer[]>(push);
      onDisconnect(push, () => {
        // Not for a connection of an earlier membership.
        if (this.#peers.get(rank) === outbox) events.disconnected(rank);
      });
      push.connect(endpoint);
      this.#peers.set(rank, outbox);
    }
    if (this.#receiving) return;
    this.#receiving = true;
    const received = receivedMemory();
    void receiveLoop(this.#pull, (frame) => {
      this.#events?.frame(frame);
      received(frame);
    });
  }

  send(to: Rank, frame: Frame): void {
    const peer = this.#peers.get(to);
    if (!peer) throw new InvariantError(`no peer has rank ${to}`);
    peer.push([...frame]);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#peers.values()].map((peer) => peer.close()));
    this.#pull.close();
  }
}

/** Binds a worker's data plane. @throws ConfigError when it can't listen. */
export async function openDataPlane(options: DataPlaneOptions): Promise<DataPlane> {
  const context = newContext();
  const pull = new Pull({ context, ...common(options.maxFrameBytes), ...receiving });
  const address =
    options.socketDirectory === null
      ? `tcp://${options.host}:*`
      : `ipc://${join(options.socketDirectory, `w-${randomBytes(6).toString('hex')}`)}`;
  return new ZmqDataPlane(await bind(pull, address), context, pull, options);
}
