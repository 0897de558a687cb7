/**
 * Common parts of all ZeroMQ sockets: options, a send queue, a receive loop, disconnect events, and the error of a failed bind.
 *
 * Relies on these properties of zeromq.js: options affect only later binds and connects; concurrent calls of `send()` fail with EBUSY
 * (under load also without a high-water mark); `linger` decides whether `close` lets the queue drain.
 */

import { connect, isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { Context, type Socket } from 'zeromq';
import { ConfigError, systemCode } from '../../errors.js';
import { formatTcp, parseTcp } from '../../network/address.js';
import { isName, resolveTcp } from '../../network/resolve.js';
import { socketPath } from '../../security/endpoints.js';
import { settledWithin } from '../../settled-within.js';

/** Maximum time that `close` waits for queued messages to leave, in milliseconds. */
const lingerMs = 1_000;

/** A connection whose handshake takes longer (in milliseconds) is closed. */
export const handshakeMs = 5_000;

export function common(maxMessageBytes: number): {
  linger: number;
  maxMessageSize: number;
  handshakeInterval: number;
} {
  return { linger: lingerMs, maxMessageSize: maxMessageBytes, handshakeInterval: handshakeMs };
}

/** A connection that is not established within this time (in milliseconds) is tried again: Linux itself would try for two minutes. */
export const connecting = { connectTimeout: 5_000 } as const;

/** No high-water mark: the order of collectives bounds the messages in flight, and none may be dropped. */
export const sending = { sendHighWaterMark: 0 } as const;
/** Limit of received messages of one connection that wait to be read; further ones wait at the sender. */
export const receiving = { receiveHighWaterMark: 1_024 } as const;

/** A separate context per transport, so that closing one cannot block another. */
export function newContext(ioThreads = 1): Context {
  return new Context({ ioThreads, blocky: false });
}

type BindableSocket = Socket & { ipv6: boolean; bind(endpoint: string): Promise<void> };

/**
 * Binds and returns the endpoint as bound (a wildcard port resolved). `*` and `::` accept IPv4 and IPv6 alike. Of a name with several
 * addresses, the first one of this machine is bound.
 * @throws ConfigError when it can't be bound
 */
export async function bind(socket: BindableSocket, endpoint: string): Promise<string> {
  const path = socketPath(endpoint);
  if (path !== undefined && (await isListening(path)))
    throw cannotListen(endpoint, 'another process uses it');
  let failure: unknown;
  for (const candidate of await numbersOf(endpoint)) {
    const address = parseTcp(candidate);
    // ZeroMQ's option for both families; it prints IPv4 addresses as IPv6 with it. Without IPv6 in the system, `*` is bound to IPv4.
    socket.ipv6 = address !== undefined && (address.host === '*' || isIP(address.host) === 6);
    try {
      await socket.bind(candidate);
      return (socket as unknown as { lastEndpoint: string | null }).lastEndpoint ?? candidate;
    } catch (cause) {
      failure ??= cause;
    }
  }
  throw cannotListen(endpoint, reasonOf(failure), failure);
}

/** ZeroMQ binds numbers and names of network interfaces, but no other names. @throws ConfigError for an unknown name */
async function numbersOf(endpoint: string): Promise<string[]> {
  const address = parseTcp(endpoint);
  if (!address || !isName(address) || address.host in networkInterfaces()) return [endpoint];
  try {
    return (await resolveTcp(address)).map(formatTcp);
  } catch (cause) {
    throw cannotListen(endpoint, `the name ${address.host} is unknown (${systemCode(cause)})`, cause);
  }
}

function reasonOf(failure: unknown): string {
  switch (systemCode(failure)) {
    case 'EADDRINUSE':
      return 'another process uses it';
    case 'EADDRNOTAVAIL':
    case 'EAFNOSUPPORT':
    case 'ENODEV':
      return 'it is no address of this machine';
    default:
      return failure instanceof Error ? failure.message : String(failure);
  }
}

function cannotListen(endpoint: string, why: string, cause?: unknown): ConfigError {
  return new ConfigError(
    `Can't listen on ${endpoint}: ${why}. Choose another address, or end the process that holds it.`,
    { endpoint },
    cause,
  );
}

/** ZeroMQ removes a socket file that exists, also one at which a process listens, which would then wait for peers forever. */
function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    const answer = (listening: boolean): void => {
      probe.destroy();
      resolve(listening);
    };
    probe.once('connect', () => answer(true));
    // With EAGAIN a process listens and is too busy to accept.
    probe.once('error', (error) => answer(systemCode(error) === 'EAGAIN'));
  });
}

/** A send queue: sends one message at a time, in order. */
export class Outbox<Message> {
  readonly #socket: Socket & { send(message: Message): Promise<void> };
  readonly #waiting: Message[] = [];
  #sending = false;
  #idle: Promise<void> = Promise.resolve();
  readonly #failed: (message: Message, error: unknown) => void;

  /** @param failed called with each message that could not be sent, and the error */
  constructor(
    socket: Socket & { send(message: Message): Promise<void> },
    failed: (message: Message, error: unknown) => void = () => undefined,
  ) {
    this.#socket = socket;
    this.#failed = failed;
  }

  /** Passes all queued messages to ZeroMQ, for at most a second, then closes the socket. */
  async close(): Promise<void> {
    await settledWithin(lingerMs, this.#idle);
    this.#socket.close();
  }

  /** Closes at once; queued messages are dropped. */
  abandon(): void {
    this.#waiting.length = 0;
    this.#socket.linger = 0;
    this.#socket.close();
  }

  push(message: Message): void {
    this.#waiting.push(message);
    if (!this.#sending) this.#idle = this.#drain();
  }

  async #drain(): Promise<void> {
    this.#sending = true;
    try {
      for (let message = this.#waiting.shift(); message !== undefined; message = this.#waiting.shift()) {
        if (this.#socket.closed) break;
        try {
          await this.#socket.send(message);
        } catch (error) {
          if (isBinding(error)) {
            this.#waiting.unshift(message);
            await turnOfEventLoop();
            // Fails when the socket is closed meanwhile, or (ROUTER) when the addressee is gone or does not read.
          } else this.#failed(message, error);
        }
      }
    } finally {
      this.#sending = false;
    }
  }
}

/** Calls `handle` for each message until the socket is closed. */
export async function receiveLoop(
  socket: Socket & { receive(): Promise<Buffer[]> },
  handle: (parts: Buffer[]) => void,
): Promise<void> {
  while (!socket.closed) {
    let parts: Buffer[];
    try {
      parts = await socket.receive();
    } catch (error) {
      if (isClosed(socket) || systemCode(error) === 'EAGAIN') return;
      if (!isBinding(error)) throw error;
      await turnOfEventLoop();
      continue;
    }
    handle(parts);
  }
}

/** zeromq.js refuses to send and to receive while a socket is bound again (restore-socket.ts), which takes less than a millisecond. */
const isBinding = (error: unknown): boolean => systemCode(error) === 'EBUSY';

const turnOfEventLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Contexts of monitors that have not ended. */
const monitored = new Set<{ readonly context: Context }>();

/**
 * The monitor of a socket's connections. The socket's context is kept alive until the monitor ends, which is up to a linger after the
 * socket was closed: zeromq.js shuts a context down when V8 collects it, and a monitor that has not ended by then never ends and keeps
 * its thread alive.
 */
export function monitorOf(socket: Socket): Socket['events'] {
  const hold = { context: socket.context };
  monitored.add(hold);
  socket.events.on('end', () => monitored.delete(hold));
  return socket.events;
}

/** Calls `handle` whenever a connection of the socket breaks. */
export function onDisconnect(socket: Socket, handle: () => void): void {
  monitorOf(socket).on('disconnect', handle);
}

/** A call, since the compiler takes a field for unchanged across an await. */
export function isClosed(socket: { readonly closed: boolean }): boolean {
  return socket.closed;
}
