/** Builds the trace of a run from its events: a span for the run, and below it one per epoch, evaluation and checkpoint. */

import { createHash } from 'node:crypto';
import type { TimedEvent } from '../shared/runs/run-events.js';
import { attributesOf, nanoseconds, type Attributes } from './values.js';

type EventOf<Name extends TimedEvent['event']> = Extract<TimedEvent, { event: Name }>;

/** A span's kind and status in OTLP. */
const internal = 1;
const okay = 1;
const failed = 2;

interface OpenEpoch {
  readonly epoch: number;
  readonly fromMs: number;
  /** Time and number of its last step so far. */
  readonly toMs: number;
  readonly step: number;
}

export class RunTrace {
  readonly #traceId: string;
  readonly #runSpan: string;
  readonly #startMs: number;
  #epoch: OpenEpoch | undefined;
  #spans = 0;
  #ended = false;

  constructor({ runId, timeMs }: EventOf<'run'>) {
    // A resumed run has the same trace, and a span of its own for each of its processes.
    this.#traceId = hash(runId, 32);
    this.#runSpan = hash(`${runId} ${timeMs}`, 16);
    this.#startMs = timeMs;
  }

  /** Returns the spans that have ended with this event. */
  add(event: TimedEvent): readonly object[] {
    switch (event.event) {
      case 'step':
        return this.#step(event);
      case 'eval':
        return [
          this.#instant(event, 'evaluation', { split: event.split, step: event.step, loss: event.loss }),
        ];
      case 'checkpoint': {
        const { timeMs, step, seconds = 0 } = event;
        return [this.#child('checkpoint', timeMs - seconds * 1000, timeMs, { step })];
      }
      case 'done':
        return this.#end(event.timeMs, { code: okay });
      case 'error':
        return this.#end(event.timeMs, { code: failed, message: event.message });
      default:
        return [];
    }
  }

  /** Returns the spans that are still open, for a process that ends before the run does. */
  close(timeMs: number): readonly object[] {
    return this.#ended ? [] : this.#end(timeMs, {});
  }

  #step({ epoch, step, timeMs, seconds }: EventOf<'step'>): readonly object[] {
    const before = this.#epoch;
    if (before?.epoch === epoch) {
      this.#epoch = { ...before, toMs: timeMs, step };
      return [];
    }
    this.#epoch = { epoch, fromMs: Math.max(this.#startMs, timeMs - seconds * 1000), toMs: timeMs, step };
    return before ? [this.#epochSpan(before)] : [];
  }

  #epochSpan({ epoch, fromMs, toMs, step }: OpenEpoch): object {
    return this.#child(`epoch ${epoch}`, fromMs, toMs, { epoch, step });
  }

  #end(timeMs: number, status: object): readonly object[] {
    const open = this.#epoch ? [this.#epochSpan(this.#epoch)] : [];
    this.#epoch = undefined;
    this.#ended = true;
    const span = { traceId: this.#traceId, spanId: this.#runSpan, name: 'run', kind: internal };
    return [...open, { ...span, ...times(this.#startMs, timeMs), status }];
  }

  #instant({ timeMs }: TimedEvent, name: string, attributes: Attributes): object {
    return this.#child(name, timeMs, timeMs, attributes);
  }

  #child(name: string, fromMs: number, toMs: number, attributes: Attributes): object {
    return {
      traceId: this.#traceId,
      spanId: hash(`${this.#runSpan} ${++this.#spans}`, 16),
      parentSpanId: this.#runSpan,
      name,
      kind: internal,
      ...times(fromMs, toMs),
      attributes: attributesOf(attributes),
      status: {},
    };
  }
}

const times = (fromMs: number, toMs: number): object => ({
  startTimeUnixNano: nanoseconds(fromMs),
  endTimeUnixNano: nanoseconds(toMs),
});

const hash = (text: string, digits: number): string =>
  createHash('sha256').update(text).digest('hex').slice(0, digits);
