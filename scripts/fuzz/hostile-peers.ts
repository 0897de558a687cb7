/** Unknown peers that send hostile bytes to a run's sockets, over ZeroMQ and over plain TCP. */

import { connect, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { Dealer, Push } from 'zeromq';
import { noise, type Random } from './mutate.js';

/** A peer reconnects under a new identity after this many messages. */
const messagesPerConnection = 5_000;
const sendTimeoutMs = 2_000;
const plainConnections = 1_000;
/** The beginning of ZeroMQ's greeting. */
const partialGreeting = Buffer.from('ff00000000000000017f03', 'hex');

/** A socket under attack. */
export interface AttackedSocket {
  /** Draws the next message to send. */
  readonly nextMessage: (random: Random) => Buffer;
  readonly connect: () => { send(bytes: Buffer): Promise<void>; close(): void };
}

export function attackedSocket(
  endpoint: string,
  plane: 'control' | 'data',
  nextMessage: AttackedSocket['nextMessage'],
): AttackedSocket {
  return {
    nextMessage,
    connect: () => {
      const socket =
        plane === 'control' ? new Dealer({ linger: 0, receiveHighWaterMark: 10 }) : new Push({ linger: 0 });
      socket.connect(endpoint);
      return socket;
    },
  };
}

/**
 * Sends messages from one peer until none remain or the run has ended.
 * @param remaining counter shared by all peers of a plane
 * @returns the number of messages that ZeroMQ accepted
 */
export async function sendHostileMessages(
  target: AttackedSocket,
  random: Random,
  remaining: { count: number },
  hasEnded: () => boolean,
): Promise<number> {
  let sent = 0;
  while (remaining.count > 0 && !hasEnded()) {
    const socket = target.connect();
    for (let i = 0; i < messagesPerConnection && remaining.count > 0 && !hasEnded(); i++) {
      remaining.count--;
      // A message to a process that refuses this peer is never sent.
      const wasSent = await Promise.race([
        socket.send(target.nextMessage(random)).then(() => true),
        pause(sendTimeoutMs, false),
      ]).catch(() => false);
      if (!wasSent) break;
      sent++;
    }
    socket.close();
  }
  return sent;
}

/**
 * Opens 1000 TCP connections at once: a third stays silent, a third stops in the middle of ZeroMQ's greeting, and a third sends
 * random bytes.
 */
export function floodWithConnections(
  port: number,
  random: Random,
): { close: () => void; opened: () => number } {
  let opened = 0;
  const sockets = Array.from({ length: plainConnections }, (_, i): Socket => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.on('connect', () => {
      opened++;
      if (i % 3 === 1) socket.write(partialGreeting);
      if (i % 3 === 2) socket.write(noise(random, 2_000));
    });
    return socket;
  });
  return { close: () => sockets.forEach((socket) => socket.destroy()), opened: () => opened };
}
