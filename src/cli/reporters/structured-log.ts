/** `--log-format json`: one JSON object per line on stderr, with level, time and event name, for log collectors. */

import { pino } from 'pino';
import type { TimedEvent } from '../../shared/runs/run-events.js';
import { EventFormatter } from './event-formatter.js';
import type { LogLevel } from './log-level.js';

export class StructuredLog {
  readonly #log;
  readonly #formatter = new EventFormatter({ withRate: true });

  constructor(level: LogLevel, stream: { write(text: string): unknown }) {
    const formatters = { level: (label: string) => ({ level: label }) };
    this.#log = pino(
      { level, base: { pid: process.pid }, formatters },
      { write: (text) => void stream.write(text) },
    );
  }

  emit(event: TimedEvent): void {
    // The event log has all fields; here the message contains the essential ones.
    const { event: name } = event;
    const step = 'step' in event ? { step: event.step } : {};
    for (const { level, text } of this.#formatter.format(event))
      this.#log[level]({ event: name, ...step }, text);
  }

  printLine(text: string): void {
    this.#log.info(text);
  }

  close(): void {
    this.#log.flush();
  }
}
