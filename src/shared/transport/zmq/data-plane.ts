/**
 * The workers' mesh over ZeroMQ: one PULL bound, one PUSH connected to each peer. Over ipc on one host, over TCP
 * otherwise. A frame is one message; its parts are the parts of the message.
 *
 * With keys each end generates its own key pair. The coordinator distributes the public keys, and only the peers of the last `connect`
 * are accepted. A peer that connects before this end has received its plan waits in the handshake.
 */

import { Pull, Push, type Context } from 'zeromq';
import { ConfigError, InvariantError } from '../../errors.js';
import type { Frame } from '../../protocol/frame.js';
import type { KeyPair } from '../../security/curve-key.js';
import { requireKeys } from '../../security/endpoints.js';
import type { Rank } from '../../sharding/identifiers.js';
import type { DataPlane, DataPlaneEvents, PeerAddress } from '../transport.js';
import { addressForPeers, listenAddress, type DataPlaneAddressOptions } from './data-plane-address.js';
import { Dialer } from './dialer.js';
import { Gatekeeper } from './gatekeeper.js';
import { newKeyPair } from './new-key-pair.js';
import { receivedMemory } from './received-memory.js';
import { restoreSocket } from './restore-socket.js';
import {
  Outbox,
  bind,
  common,
  connecting,
  newContext,
  onDisconnect,
  receiveLoop,
  receiving,
  sending,
} from './sockets.js';

export interface DataPlaneOptions extends DataPlaneAddressOptions {
  /** Maximum length of a frame in bytes; ZeroMQ closes a connection that sends a longer one. */
  readonly maxFrameBytes: number;
}

/** Created before the socket is bound. */
interface Opened {
  readonly context: Context;
  readonly gate: Gatekeeper;
  readonly own: KeyPair | null;
  readonly allowed: Set<string>;
}

class ZmqDataPlane implements DataPlane {
  readonly endpoint: string;
  readonly #opened: Opened;
  readonly #pull: Pull;
  readonly #options: DataPlaneOptions;
  readonly #peers = new Map<Rank, Outbox<Buffer[]>>();
  #dialers: Dialer[] = [];
  #events: DataPlaneEvents | undefined;
  #receiving = false;

  constructor(endpoint: string, opened: Opened, pull: Pull, options: DataPlaneOptions) {
    this.endpoint = endpoint;
    this.#opened = opened;
    this.#pull = pull;
    this.#options = options;
  }

  get publicKey(): string | undefined {
    return this.#opened.own?.publicKey;
  }

  connect(peers: readonly PeerAddress[], events: DataPlaneEvents): void {
    const { allowed, gate } = this.#opened;
    for (const old of this.#peers.values()) old.abandon();
    this.#peers.clear();
    this.#stopDialing();
    this.#events = events;
    allowed.clear();
    for (const { publicKey } of peers) if (publicKey !== undefined) allowed.add(publicKey);
    gate.reconsider();
    // A peer that has joined since the last generation connects to the file of the socket. If that fails, the links to it break again.
    restoreSocket(this.#pull, this.endpoint).catch(() => undefined);
    for (const peer of peers) this.#connect(peer, events);
    if (this.#receiving) return;
    this.#receiving = true;
    const received = receivedMemory();
    void receiveLoop(this.#pull, (frame) => {
      this.#events?.frame(frame);
      received(frame);
    });
  }

  #connect({ rank, endpoint, publicKey }: PeerAddress, events: DataPlaneEvents): void {
    const { context, own } = this.#opened;
    requireKeys(endpoint, own !== null);
    if ((own === null) !== (publicKey === undefined)) {
      const which = own ? 'rank has none' : 'this worker has none';
      throw new ConfigError(
        `Rank ${rank}: expected keys on both ends or on none, but the ${which}. Give --keys everywhere.`,
      );
    }
    const push = new Push({
      context,
      ...common(this.#options.maxFrameBytes),
      ...connecting,
      ...sending,
      ...(own && {
        curveServerKey: publicKey ?? null,
        curvePublicKey: own.publicKey,
        curveSecretKey: own.secretKey,
      }),
    });
    const outbox = new Outbox<Buffer[]>(push);
    onDisconnect(push, () => {
      // Ignores connections of an earlier generation.
      if (this.#peers.get(rank) === outbox) events.disconnected(rank);
    });
    const dialer = new Dialer(push, endpoint, this.#options.zone);
    this.#dialers.push(dialer);
    dialer.start();
    this.#peers.set(rank, outbox);
  }

  #stopDialing(): void {
    for (const dialer of this.#dialers.splice(0)) dialer.close();
  }

  send(to: Rank, frame: Frame): void {
    const peer = this.#peers.get(to);
    if (!peer) throw new InvariantError(`no peer has rank ${to}`);
    peer.push([...frame]);
  }

  async close(): Promise<void> {
    this.#stopDialing();
    await Promise.all([...this.#peers.values()].map((peer) => peer.close()));
    this.#pull.close();
    this.#opened.gate.close();
  }
}

/** Binds a worker's data plane. @throws ConfigError when the address can't be bound, or needs keys and there are none */
export async function openDataPlane(options: DataPlaneOptions): Promise<DataPlane> {
  const { maxFrameBytes, secure = false } = options;
  const address = listenAddress(options);
  requireKeys(address, secure);
  const context = newContext();
  const own = secure ? newKeyPair() : null;
  const allowed = new Set<string>();
  const keys = own && { own, allows: (key: string) => allowed.has(key) };
  const gate = await Gatekeeper.open(context, { keys, patient: true });
  const pull = new Pull({ context, ...common(maxFrameBytes), ...receiving, ...gate.guarded });
  gate.watch(pull);
  try {
    const bound = await bind(pull, address);
    const opened = { context, gate, own, allowed };
    return new ZmqDataPlane(addressForPeers(bound, options), opened, pull, options);
  } catch (error) {
    pull.close();
    gate.close();
    throw error;
  }
}
