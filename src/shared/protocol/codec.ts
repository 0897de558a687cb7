/**
 * Control messages to bytes (MessagePack) and back. Owns the rule that nothing received is used before its schema has
 * accepted it, and nothing decoded before its structure has been found whole.
 */

import { Packr, Unpackr } from 'msgpackr';
import type { z } from 'zod';
import {
  coordinatorMessageSchema,
  workerMessageSchema,
  type CoordinatorMessage,
  type WorkerMessage,
} from './messages.js';
import { refusal } from './refusals.js';
import { malformation } from './well-formed.js';

/** Longest control message in bytes. The largest real one is the plan of a big cluster. */
export const controlMessageBytes = 1024 * 1024;
/** Longest message from a connection that no worker is known by. A worker's first words are far shorter. */
export const unknownPeerMessageBytes = 64 * 1024;

/** No records and no extensions: plain values, which `malformation` knows. `skipValues` is missing in the package's types. */
const plain = { useRecords: false, moreTypes: false, skipValues: [undefined] };
const packr = new Packr(plain);
const unpackr = new Unpackr({ ...plain, mapsAsObjects: true });

export function encodeMessage(message: WorkerMessage | CoordinatorMessage): Buffer {
  // A copy: packr reuses its memory, and ZeroMQ sends without copying.
  return Buffer.from(packr.pack(message));
}

function decode<T>(schema: z.ZodType<T>, bytes: Uint8Array, from: string, mostBytes: number): T {
  if (bytes.length > mostBytes) {
    throw refusal(
      'too-long',
      `Message from ${from} refused: ${bytes.length} bytes, at most ${mostBytes} allowed.`,
    );
  }
  const wrong = malformation(bytes);
  if (wrong !== undefined)
    throw refusal('malformed', `Message from ${from} refused: expected MessagePack, but ${wrong}.`);
  let value: unknown;
  try {
    value = unpackr.unpack(bytes);
  } catch (cause) {
    throw refusal('malformed', `Message from ${from} refused: it is not MessagePack.`, cause);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw refusal(
    'bad-field',
    `Message from ${from} refused: field "${issue?.path.join('.') ?? ''}": ${issue?.message ?? 'not valid'}.`,
  );
}

/** @throws ProtocolError */
export const decodeWorkerMessage = (
  bytes: Uint8Array,
  from: string,
  mostBytes = controlMessageBytes,
): WorkerMessage => decode(workerMessageSchema, bytes, from, mostBytes);

/** @throws ProtocolError */
export const decodeCoordinatorMessage = (bytes: Uint8Array, from: string): CoordinatorMessage =>
  decode(coordinatorMessageSchema, bytes, from, controlMessageBytes);
