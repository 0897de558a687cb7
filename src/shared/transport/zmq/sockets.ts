/**
 * What every ZeroMQ socket here has in common: settings, a receive loop, disconnect events, and what a failed bind means.
 *
 * zeromq.js facts that this relies on: options affect later binds and connects only; with a send high-water mark of 0 a
 * `send()` is queued at once, so calls never overlap (EBUSY); `linger` decides whether `close` lets the queue drain.
 */

import { Context, type Socket } from 'zeromq';
import { ConfigError, systemCode } from '../../errors.js';

/** Most time that closing waits for queued messages to leave, in milliseconds. */
const lingerMs = 1_000;

export function common(maxMessageBytes: number): { linger: number; maxMessageSize: number } {
  return { linger: lingerMs, maxMessageSize: maxMessageBytes };
}

/** No high-water marks: what is in flight is bounded by the collectives' own order, and nothing may be dropped. */
export const sending = { sendHighWaterMark: 0 } as const;
export const receiving = { receiveHighWaterMark: 0 } as const;

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
      if (socket.closed || systemCode(error) === 'EAGAIN') return;
      throw error;
    }
    handle(parts);
  }
}

/** Calls `handle` each time that a connection of the socket breaks. */
export function onDisconnect(socket: Socket, handle: () => void): void {
  socket.events.on('disconnect', handle);
}
