/**
 * TensorBoard's event files: protocol buffers in TFRecord frames.
 * Events are written as they arrive, so that TensorBoard shows a run while it trains.
 */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, systemCode } from '../shared/errors.js';
import { AppendingFile } from '../shared/files/appending-file.js';
import { messageType } from '../shared/files/protobuf.js';
import { frame, intactFrames } from './record.js';

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
  | { readonly tag: string; readonly histo: Histogram }
  | { readonly tag: string; readonly tensor: object; readonly metadata: object };

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
  /** End of the file's name; none by default. */
  readonly suffix?: string;
  /** Receives one message per time in which the file cannot be written, and one when it is written again. */
  readonly notify: (message: string) => void;
}

export class EventFile {
  readonly path: string;
  readonly #file: AppendingFile;

  /** @throws ConfigError if the file cannot be written now */
  constructor({ directory, host, startMs, suffix = '', notify }: EventFileOptions) {
    const seconds = Math.floor(startMs / 1000);
    // Readers process a folder's files in the order of their names.
    const name = `events.out.tfevents.${String(seconds).padStart(10, '0')}.${host}.${process.pid}${suffix}`;
    this.path = join(directory, name);
    this.#file = new AppendingFile({
      path: this.path,
      name: "TensorBoard's event file",
      // TensorBoard shows missing steps as such, so a gap needs no record.
      format: { incompleteEnd: 'cut', intactBytes: intactFrames, gap: () => '' },
      mode: 'append',
      notify,
    });
    try {
      mkdirSync(directory, { recursive: true });
      this.#file.create();
    } catch (cause) {
      const why = systemCode(cause) ?? String(cause);
      throw new ConfigError(
        `--tensorboard: ${directory} can't be written (${why}). Choose another folder.`,
        { directory },
        cause,
      );
    }
    this.write(startMs, 0, { fileVersion: 'brain.Event:2' }, { essential: true });
  }

  /** @param essential true for events without which the others cannot be read */
  write(
    timeMs: number,
    step: number,
    content: EventContent,
    { essential = false }: { readonly essential?: boolean } = {},
  ): void {
    const event = eventType.fromObject({ wallTime: timeMs / 1000, step, ...content });
    this.#file.append(frame(eventType.encode(event).finish()), { essential });
  }

  /** Resolves when everything is written, or after a bounded time. */
  close(): Promise<void> {
    return this.#file.close();
  }
}
