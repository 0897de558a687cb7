/**
 * Interfaces of the transports. Two implementations: `zmq/` between processes, `memory.ts` inside one. Both preserve the order of
 * messages between two ends, deliver each at most once, and never call back from inside `send`. Neither reads the contents.
 */

import type { OperationalError } from '../errors.js';
import type { Frame } from '../protocol/frame.js';
import type { Rank } from '../sharding/identifiers.js';

export interface PeerAddress {
  readonly rank: Rank;
  readonly endpoint: string;
  /** CURVE key of the endpoint; undefined: the run has no keys. */
  readonly publicKey?: string | undefined;
}

export interface DataPlaneEvents {
  /** A frame of some peer, whose memory belongs to the receiver from now on. */
  frame(frame: Frame): void;
  /** The connection to `rank` broke. */
  disconnected(rank: Rank): void;
}

/** The mesh between workers. */
export interface DataPlane {
  /** The address to which peers connect. */
  readonly endpoint: string;
  /** CURVE key of this end; undefined: no keys. */
  readonly publicKey?: string | undefined;
  /** Connects to the peers of a generation and closes all earlier connections. */
  connect(peers: readonly PeerAddress[], events: DataPlaneEvents): void;
  /** Sends without copying: `frame` must not change until the receiver is known to have it. */
  send(to: Rank, frame: Frame): void;
  /** Closes all connections; messages that were sent have at most a second to leave. */
  close(): Promise<void>;
}

export interface ControlClientEvents {
  message(bytes: Uint8Array): void;
  disconnected(): void;
  /** The other end refused this one, is no coordinator, or did not answer within the limit. This end does not try any more. */
  refused(error: OperationalError): void;
  /** The other end has too many connections; this one tries again until there are fewer. */
  busy?(error: OperationalError): void;
}

/** A worker's end of the control plane. Messages sent before the connection is established are queued. */
export interface ControlClient {
  connect(events: ControlClientEvents): void;
  send(bytes: Buffer): void;
  /** The address of the other end in numbers; undefined if it is not known yet. */
  readonly remoteEndpoint?: string | undefined;
  /** Connects anew if the other end's name has another address now. */
  follow?(): void;
  /** Finds out and says why there is no answer, for a person. */
  diagnose?(): Promise<string>;
  /** Closes all connections; messages that were sent have at most a second to leave. */
  close(): Promise<void>;
}

/** Identifies one connection to the coordinator; another connection of the same process has another id. */
export type ConnectionId = string;

export interface ControlServerEvents {
  message(from: ConnectionId, bytes: Uint8Array): void;
  /** Some connection broke, possibly one of an unknown peer; ZeroMQ does not report which. */
  disconnected(): void;
  /** A message to that connection could not be delivered. */
  unreachable(to: ConnectionId): void;
}

/** The coordinator's end of the control plane. */
export interface ControlServer {
  readonly endpoint: string;
  listen(events: ControlServerEvents): void;
  /** Does not block. Messages to a connection that is closed, or that does not read, are dropped. */
  send(to: ConnectionId, bytes: Buffer): void;
  /** Closes all connections; messages that were sent have at most a second to leave. */
  close(): Promise<void>;
}
