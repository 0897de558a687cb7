/**
 * Control messages to bytes (MessagePack) and back. Owns the rule that nothing received is used before its schema has
 * accepted it.
 */

import { Packr, Unpackr } from 'msgpackr';
import type { z } from 'zod';
import { ProtocolError } from '../errors.js';
import {
  coordinatorMessageSchema,
  workerMessageSchema,
  type CoordinatorMessage,
  type WorkerMessage,
} from './messages.js';

/** Longest control message in bytes. The largest real one is the plan of a big cluster. */
export const controlMessageBytes = 1024 * 1024;

const packr = new Packr({ useRecords: false, moreTypes: false });
const unpackr = new Unpackr({ useRecords: false, moreTypes: false, mapsAsObjects: true });

export function encodeMessage(message: WorkerMessage | CoordinatorMessage): Buffer {
  // A copy: packr reuses its memory, and ZeroMQ sends without copying.
  return Buffer.from(packr.pack(message));
}

function decode<T>(schema: z.ZodType<T>, bytes: Uint8Array, from: string): T {
  if (bytes.length > controlMessageBytes) {
    throw new ProtocolError(
      `Message from ${from} refused: ${bytes.length} bytes, at most ${controlMessageBytes} allowed.`,
    );
  }
  let value: unknown;
  try {
    value = unpackr.unpack(bytes);
  } catch (cause) {
    throw new ProtocolError(`Message from ${from} refused: it is not MessagePack.`, {}, cause);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new ProtocolError(
    `Message from ${from} refused: field "${issue?.path.join('.') ?? ''}": ${issue?.message ?? 'not valid'}.`,
  );
}

/** @throws ProtocolError */
export const decodeWorkerMessage = (bytes: Uint8Array, from: string): WorkerMessage =>
  decode(workerMessageSchema, bytes, from);

/** @throws ProtocolError */
export const decodeCoordinatorMessage = (bytes: Uint8Array, from: string): CoordinatorMessage =>
  decode(coordinatorMessageSchema, bytes, from);
