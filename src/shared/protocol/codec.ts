/**
 * Encodes control messages as MessagePack and decodes them. Bytes are decoded only after their structure has been checked, and a
 * decoded message is returned only after its schema has accepted it.
 */

import { Packr, Unpackr } from 'msgpackr';
import type { z } from 'zod';
import {
  coordinatorMessageSchema,
  workerMessageSchema,
  type CoordinatorMessage,
  type WorkerMessage,
} from './messages.js';
import { printableLine } from './printable.js';
import { refusal } from './refusals.js';
import { malformation } from './well-formed.js';

/** Longest control message in bytes. The longest valid one is the plan of a large cluster. */
export const controlMessageBytes = 1024 * 1024;
/** Longest message in bytes from a connection that has not joined. `join` is much shorter. */
export const unknownPeerMessageBytes = 64 * 1024;

/** Plain values without records and extensions, as `malformation` expects. The package's types lack `skipValues`. */
const plain = { useRecords: false, moreTypes: false, skipValues: [undefined] };
const packr = new Packr(plain);
const unpackr = new Unpackr({ ...plain, mapsAsObjects: true });

export function encodeMessage(message: WorkerMessage | CoordinatorMessage): Buffer {
  // The bytes are copied because packr reuses its memory and ZeroMQ sends without copying.
  return Buffer.from(packr.pack(message));
}

function decode<T>(schema: z.ZodType<T>, bytes: Uint8Array, from: string, maxBytes: number): T {
  if (bytes.length > maxBytes) {
    throw refusal(
      'too-long',
      `Message from ${from} refused: expected at most ${maxBytes} bytes, got ${bytes.length}.`,
    );
  }
  const wrong = malformation(bytes);
  if (wrong !== undefined)
    throw refusal(
      'malformed',
      `Message from ${from} refused: expected MessagePack, got bytes in which ${wrong}.`,
    );
  let value: unknown;
  try {
    value = unpackr.unpack(bytes);
  } catch (cause) {
    throw refusal('malformed', `Message from ${from} refused: expected MessagePack, got other bytes.`, cause);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw refusal(
    'bad-field',
    `Message from ${from} refused: field "${shown(issue?.path.join('.') ?? '')}": ${shown(issue?.message ?? 'not valid')}.`,
  );
}

/** The message may contain keys of any length that the peer has chosen. */
const shown = (text: string): string => printableLine(text, 200);

/** @throws ProtocolError */
export const decodeWorkerMessage = (
  bytes: Uint8Array,
  from: string,
  maxBytes = controlMessageBytes,
): WorkerMessage => decode(workerMessageSchema, bytes, from, maxBytes);

/** @throws ProtocolError */
export const decodeCoordinatorMessage = (bytes: Uint8Array, from: string): CoordinatorMessage =>
  decode(coordinatorMessageSchema, bytes, from, controlMessageBytes);
