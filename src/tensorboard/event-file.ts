/**
 * TensorBoard's event files: protocol buffers in TFRecord frames (length, its checksum, bytes, their checksum; CRC-32C, masked).
 * Events are written as they arrive, so that TensorBoard shows a run while it trains.
 */

import { createWriteStream, mkdirSync, type WriteStream } from 'node:fs';
import { join } from 'node:path';
import crc32c from 'crc-32/crc32c.js';
import { ConfigError, systemCode } from '../shared/errors.js';
import { messageType } from '../shared/files/protobuf.js';

export interface Histogram {
  readonly min: number;
  readonly max: number;
  readonly num: number;
  readonly sum: number;
  readonly sumSquares: number;
  /** Upper limits of the buckets, ascending. */
  readonly bucketLimit: readonly number[];
  readonly bucket: readonly number[];
}

export type SummaryValue =
  | { readonly tag: string; readonly simpleValue: number }
  | { readonly tag: string; readonly histo: Histogram };

/** An event's content, with TensorFlow's field names in camel case. */
export type EventContent =
  | { readonly fileVersion: string }
  | { readonly graphDef: Uint8Array }
  | { readonly summary: { readonly value: readonly SummaryValue[] } }
  /** Status 1, a start: what was written before from that step on is void. */
  | { readonly sessionLog: { readonly status: 1 } };

export interface GraphNode {
  readonly name: string;
  readonly op: string;
  readonly input: readonly string[];
  readonly attr: Readonly<Record<string, object>>;
}

const eventType = messageType('event.proto', 'tensorflow.Event');
const graphType = messageType('graph.proto', 'tensorflow.GraphDef');

/** Versions as in TensorFlow's own graphs; readers require nothing newer. */
const graphProducer = 22;

export function encodeGraph(node: readonly GraphNode[]): Uint8Array {
  return graphType.encode(graphType.fromObject({ node, versions: { producer: graphProducer } })).finish();
}

export interface EventFileOptions {
  readonly directory: string;
  /** Part of the file's name, with the time, so that files of two machines do not collide. */
  readonly host: string;
  readonly startMs: number;
  /** Called once when the file can no longer be written; training continues. */
  readonly broken: (why: string) => void;
}

export class EventFile {
  readonly path: string;
  readonly #stream: WriteStream;
  #isBroken = false;

  /** @throws ConfigError if the folder cannot be written */
  constructor({ directory, host, startMs, broken }: EventFileOptions) {
    const seconds = Math.floor(startMs / 1000);
    // Readers process a folder's files in the order of their names.
    const name = `events.out.tfevents.${String(seconds).padStart(10, '0')}.${host}.${process.pid}`;
    this.path = join(directory, name);
    try {
      mkdirSync(directory, { recursive: true });
    } catch (cause) {
      const why = systemCode(cause) ?? String(cause);
      throw new ConfigError(
        `--tensorboard: ${directory} can't be written (${why}). Choose another folder.`,
        { directory },
        cause,
      );
    }
    this.#stream = createWriteStream(this.path, { flags: 'a' });
    this.#stream.on('error', (error) => {
      if (!this.#isBroken) broken(error.message);
      this.#isBroken = true;
    });
    this.write(startMs, 0, { fileVersion: 'brain.Event:2' });
  }

  write(timeMs: number, step: number, content: EventContent): void {
    if (this.#isBroken) return;
    const event = eventType.fromObject({ wallTime: timeMs / 1000, step, ...content });
    this.#stream.write(frame(eventType.encode(event).finish()));
  }

  close(): Promise<void> {
    if (this.#stream.closed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#stream.once('close', resolve);
      this.#stream.end();
    });
  }
}

/** Builds a TFRecord frame. */
export function frame(payload: Uint8Array): Uint8Array {
  const framed = Buffer.alloc(payload.length + 16);
  framed.writeBigUInt64LE(BigInt(payload.length), 0);
  framed.writeUInt32LE(maskedChecksum(framed.subarray(0, 8)), 8);
  framed.set(payload, 12);
  framed.writeUInt32LE(maskedChecksum(payload), 12 + payload.length);
  return framed;
}

/** TensorFlow's masking: rotates and adds a constant, so that a checksum over data that contains checksums remains good. */
function maskedChecksum(bytes: Uint8Array): number {
  const checksum = crc32c.buf(bytes) >>> 0;
  return (((checksum >>> 15) | (checksum << 17)) + 0xa282ead8) >>> 0;
}
