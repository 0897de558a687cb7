/** `--log-format json`: one JSON object a line on stderr, with level, time and the event it is about, as log collectors read it. */

import { pino } from 'pino';
import type { TimedEvent } from '../../shared/runs/run-events.js';
import { Lines, type LogLevel } from './lines.js';

export class StructuredLog {
  readonly #log;
  readonly #lines = new Lines({ rateInLine: true });

  constructor(level: LogLevel, stream: { write(text: string): unknown }) {
    const formatters = { level: (label: string) => ({ level: label }) };
    this.#log = pino(
      { level, base: { pid: process.pid }, formatters },
      { write: (text) => void stream.write(text) },
    );
  }

  emit(event: TimedEvent): void {
    // What is large or told in the words already stays in the event log.
    const { event: name } = event;
    const step = 'step' in event ? { step: event.step } : {};
    for (const { level, text } of this.#lines.of(event)) this.#log[level]({ event: name, ...step }, text);
  }

  say(text: string): void {
    this.#log.info(text);
  }

  close(): void {
    this.#log.flush();
  }
}
