/**
 * What every ZeroMQ socket here has in common: settings, a receive loop, disconnect events, and what a failed bind means.
 *
 * zeromq.js facts that this relies on: options affect later binds and connects only; one `send()` at a time, else EBUSY
 * (also without a high-water mark, under load); `linger` decides whether `close` lets the queue drain.
 */

import { Context, type Socket } from 'zeromq';
import { ConfigError, systemCode } from '../../errors.js';

/** Most time that closing waits for queued messages to leave, in milliseconds. */
const lingerMs = 1_000;

/** A connection that hasn't said who it is for so long is closed. */
export const handshakeMs = 5_000;

export function common(maxMessageBytes: number): {
  linger: number;
  maxMessageSize: number;
  handshakeInterval: number;
} {
  return { linger: lingerMs, maxMessageSize: maxMessageBytes, handshakeInterval: handshakeMs };
}

/** No high-water mark: what is in flight is bounded by the collectives' own order, and nothing may be dropped. */
export const sending = { sendHighWaterMark: 0 } as const;
/** Messages of one connection that wait to be read; the rest waits at the sender, who loses nothing by it. */
export const receiving = { receiveHighWaterMark: 1_024 } as const;

/** A context of one's own, so that closing one transport can't block another. */
export function newContext(ioThreads = 1): Context {
  return new Context({ ioThreads, blocky: false });
}

/** Binds and returns the endpoint as bound (a wildcard port resolved). @throws ConfigError when it can't be bound. */
export async function bind(
  socket: Socket & { bind(endpoint: string): Promise<void> },
  endpoint: string,
): Promise<string> {
  try {
    await socket.bind(endpoint);
  } catch (cause) {
    const why =
      systemCode(cause) === 'EADDRINUSE'
        ? 'another process uses it'
        : cause instanceof Error
          ? cause.message
          : String(cause);
    throw new ConfigError(
      `Can't listen on ${endpoint}: ${why}. Choose another address, or end the process that holds it.`,
      { endpoint },
      cause,
    );
  }
  const bound = (socket as unknown as { lastEndpoint: string | null }).lastEndpoint;
  return bound ?? endpoint;
}

/** Sends one message after the other, in order. */
export class Outbox<Message> {
  readonly #socket: Socket & { send(message: Message): Promise<void> };
  readonly #waiting: Message[] = [];
  #sending = false;
  #idle: Promise<void> = Promise.resolve();
  readonly #failed: (message: Message, error: unknown) => void;

  /** @param failed what couldn't be handed over, and why; nobody needs it any more */
  constructor(
    socket: Socket & { send(message: Message): Promise<void> },
    failed: (message: Message, error: unknown) => void = () => undefined,
  ) {
    this.#socket = socket;
    this.#failed = failed;
  }

  /** Hands everything to ZeroMQ, then closes the socket; gives up on what can't be handed over in time. */
  async close(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, lingerMs)));
    await Promise.race([this.#idle, late]);
    clearTimeout(timer);
    this.#socket.close();
  }

  /** Closes at once; what hasn't left is dropped. */
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
        const sent = message;
        // When the socket is closed meanwhile, or (ROUTER) when the addressee is gone or doesn't read.
        await this.#socket.send(message).catch((error: unknown) => this.#failed(sent, error));
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
      throw error;
    }
    handle(parts);
  }
}

/** Contexts of monitors that haven't ended. */
const monitored = new Set<{ readonly context: Context }>();

/**
 * What a socket tells of its connections. Its context is held until the monitor has heard of the socket's end, up to a linger
 * after it was closed: zeromq.js shuts a context down when V8 collects it, and a monitor that has not ended by then never
 * does, and keeps its thread from ending.
 */
export function monitorOf(socket: Socket): Socket['events'] {
  const hold = { context: socket.context };
  monitored.add(hold);
  socket.events.on('end', () => monitored.delete(hold));
  return socket.events;
}

/** Calls `handle` each time that a connection of the socket breaks. */
export function onDisconnect(socket: Socket, handle: () => void): void {
  monitorOf(socket).on('disconnect', handle);
}

/** A call, since the compiler takes a field for unchanged across an await. */
function isClosed(socket: { readonly closed: boolean }): boolean {
  return socket.closed;
}
