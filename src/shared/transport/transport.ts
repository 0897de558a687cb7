/**
 * How bytes move, as the rest of the program sees it. Two implementations: `zmq/` between processes, `memory.ts` inside
 * one. Both keep the order of messages between two ends, deliver each once, and never call back from inside `send`.
 * Neither looks into what it carries.
 */

import type { Frame } from '../protocol/frame.js';
import type { Rank } from '../sharding/identifiers.js';

export interface PeerAddress {
  readonly rank: Rank;
  readonly endpoint: string;
  /** CURVE key by which it is known; undefined: the run has no keys. */
  readonly publicKey?: string | undefined;
}

export interface DataPlaneEvents {
  /** A frame from some peer. Its memory is the receiver's from now on, for a short time: until it has been used. */
  frame(frame: Frame): void;
  /** The connection to `rank` broke. */
  disconnected(rank: Rank): void;
}

/** The mesh between workers. */
export interface DataPlane {
  /** Where peers can connect to. */
  readonly endpoint: string;
  /** What they know this end by; undefined: no keys. */
  readonly publicKey?: string | undefined;
  /** Again for another membership: earlier connections are closed. */
  connect(peers: readonly PeerAddress[], events: DataPlaneEvents): void;
  /** Sends without copying: `frame` must not change until the receiver is known to have it. */
  send(to: Rank, frame: Frame): void;
  /** Lets what was sent leave, for a second at most. */
  close(): Promise<void>;
}

export interface ControlClientEvents {
  message(bytes: Uint8Array): void;
  disconnected(): void;
  /** The other end will not have this one, now or later. */
  refused(why: string): void;
}

/** A worker's end of the control plane. Messages sent before the connection stands are queued. */
export interface ControlClient {
  connect(events: ControlClientEvents): void;
  send(bytes: Buffer): void;
  /** Lets what was sent leave, for a second at most. */
  close(): Promise<void>;
}

/** Names one connection to the coordinator; another connection of the same process has another one. */
export type ConnectionId = string;

export interface ControlServerEvents {
  message(from: ConnectionId, bytes: Uint8Array): void;
  /** Some connection broke, perhaps a stranger's; ZeroMQ doesn't say whose. */
  disconnected(): void;
  /** Something sent to that connection can't reach it any more. */
  unreachable(to: ConnectionId): void;
}

/** The coordinator's end of the control plane. */
export interface ControlServer {
  readonly endpoint: string;
  listen(events: ControlServerEvents): void;
  /** A connection that is gone gets nothing, nor one that doesn't read what it was sent before. */
  send(to: ConnectionId, bytes: Buffer): void;
  /** Lets what was sent leave, for a second at most. */
  close(): Promise<void>;
}
