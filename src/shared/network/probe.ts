/**
 * Finds out what answers at an address, with one connection of its own: nothing, ZeroMQ, or something else. ZeroMQ's events do not tell
 * why a connection failed. Used only after a connection has failed.
 *
 * Relies on ZMTP 3 (ZeroMQ RFC 23): both ends begin with a signature of ten bytes, ZeroMQ sends its own at once, and an end that has
 * received the signature and the version 3 sends the rest of its greeting, in which the bytes from 12 on name the security mechanism.
 */

import { connect, type Socket } from 'node:net';
import { systemCode } from '../errors.js';
import { formatHost, parseTcp } from './address.js';

export type Answer =
  /** No connection. `code` is the system's error, or `ETIMEDOUT`. */
  | { readonly kind: 'unreachable'; readonly code: string }
  /** The connection was closed before this end had sent a byte, as a proxy does that can reach no server itself. */
  | { readonly kind: 'closed-at-once' }
  /** Nothing arrived, and the connection stayed open: a process that is stopped or busy, or one that waits for something else. */
  | { readonly kind: 'silent' }
  /** Something that is not ZeroMQ. `text`: the first bytes; empty if it closed the connection when it had read ZeroMQ's signature. */
  | { readonly kind: 'stranger'; readonly text: string }
  /** ZeroMQ; `mechanism` is NULL or CURVE, or another name. */
  | { readonly kind: 'zeromq'; readonly mechanism: string };

/** Time for a connection, and for each further answer. */
const answerMs = 2_000;
/** Time between two looks at the clock. */
const lookMs = 20;
/** Time for the other end to speak first. */
const firstWordMs = 500;

const signatureBytes = 10;
const mechanismAt = { start: 12, end: 32 } as const;
/** The signature, and the version 3. */
const greeting = Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3]);

/** @param endpoint with a number instead of a name, or the path of a socket */
export async function probe(endpoint: string): Promise<Answer> {
  const peer = new Peer(endpoint);
  try {
    const code = await peer.opened();
    if (code !== undefined) return { kind: 'unreachable', code };
    await peer.receive(1, firstWordMs);
    if (peer.received.length === 0 && peer.ended) return { kind: 'closed-at-once' };
    peer.send(greeting);
    await peer.receive(signatureBytes, answerMs);
    if (peer.received.length === 0) return peer.ended ? { kind: 'stranger', text: '' } : { kind: 'silent' };
    if (!isSignature(peer.received)) return { kind: 'stranger', text: printable(peer.received) };
    await peer.receive(mechanismAt.end, answerMs);
    const name = peer.received.subarray(mechanismAt.start, mechanismAt.end).toString('latin1');
    return { kind: 'zeromq', mechanism: name.split('\0')[0] ?? '' };
  } finally {
    peer.close();
  }
}

class Peer {
  readonly #socket: Socket;
  received = Buffer.alloc(0);
  ended = false;
  #failure: string | undefined;
  #wake = (): void => undefined;

  constructor(endpoint: string) {
    const tcp = parseTcp(endpoint);
    this.#socket = tcp
      ? connect({ host: formatHost(tcp), port: tcp.port })
      : connect(endpoint.replace(/^ipc:\/\//, ''));
    this.#socket.on('data', (bytes) => {
      // A stranger may send much; the beginning is enough.
      if (this.received.length < 256) this.received = Buffer.concat([this.received, bytes]);
      this.#wake();
    });
    this.#socket.on('connect', () => this.#wake());
    this.#socket.on('close', () => {
      this.ended = true;
      this.#wake();
    });
    this.#socket.on('error', (error) => {
      this.#failure = systemCode(error) ?? 'EIO';
      this.#wake();
    });
  }

  /** Returns the system's error if there is no connection. */
  async opened(): Promise<string | undefined> {
    await this.#until(() => this.#socket.readyState === 'open' || this.#failure !== undefined, answerMs);
    if (this.#failure !== undefined) return this.#failure;
    return this.#socket.readyState === 'open' || this.ended ? undefined : 'ETIMEDOUT';
  }

  /** Waits for so many bytes in all, for the end of the connection, or for `ms`. */
  receive(bytes: number, ms: number): Promise<void> {
    return this.#until(() => this.received.length >= bytes || this.ended, ms);
  }

  send(bytes: Buffer): void {
    if (!this.ended) this.#socket.write(bytes);
  }

  close(): void {
    this.#socket.destroy();
  }

  async #until(done: () => boolean, ms: number): Promise<void> {
    const deadlineMs = performance.now() + ms;
    const timer = setInterval(() => this.#wake(), lookMs);
    while (!done() && performance.now() < deadlineMs)
      await new Promise<void>((resolve) => (this.#wake = resolve));
    clearInterval(timer);
  }
}

const isSignature = (bytes: Buffer): boolean =>
  bytes.length >= signatureBytes && bytes[0] === 0xff && ((bytes[signatureBytes - 1] ?? 0) & 1) === 1;

/** The first line, without control characters. */
function printable(bytes: Buffer): string {
  const [line = ''] = bytes
    .subarray(0, 80)
    .toString('latin1')
    .split(/[\r\n]/);
  return line.replace(/[^\x20-\x7e]/g, '?');
}
