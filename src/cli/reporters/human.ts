/**
 * What a person sees: lines on stderr, and below them a live view where stderr is a terminal. The view is drawn anew a few
 * times a second, whatever the number of steps.
 */

import { createLogUpdate } from 'log-update';
import type { TimedEvent } from '../../shared/runs/run-events.js';
import { frame, type Moment } from './frame.js';
import { isLogged, Lines, type LogLevel } from './lines.js';

export interface Terminal extends NodeJS.WritableStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  /** Whether colours are wanted: it minds NO_COLOR and FORCE_COLOR. */
  hasColors?(): boolean;
}

export interface HumanOptions {
  readonly stream: Terminal;
  readonly level: LogLevel;
  /** A terminal that can't move its cursor gets plain lines. */
  readonly dumb: boolean;
}

const redrawMs = 250;

export class HumanReporter {
  readonly #stream: Terminal;
  readonly #level: LogLevel;
  readonly #lines: Lines;
  readonly #view: ReturnType<typeof createLogUpdate> | undefined;
  #moment: Moment = { shards: 0 };
  #timer: NodeJS.Timeout | undefined;
  #over = false;

  constructor({ stream, level, dumb }: HumanOptions) {
    this.#stream = stream;
    this.#level = level;
    const live = stream.isTTY === true && !dumb && isLogged('info', level);
    this.#view = live ? createLogUpdate(stream) : undefined;
    this.#lines = new Lines({ rateInLine: !live });
  }

  emit(event: TimedEvent): void {
    this.#note(event);
    for (const { level, text } of this.#lines.of(event)) {
      if (isLogged(level, this.#level)) this.say(text);
    }
    if (this.#view && !this.#over) this.#timer ??= setTimeout(() => this.#draw(), redrawMs);
  }

  /** A line above the view. */
  say(text: string): void {
    this.#view?.clear();
    this.#stream.write(`${text}\n`);
    if (this.#view) this.#draw();
  }

  close(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#view?.clear();
    this.#view?.done();
  }

  #note(event: TimedEvent): void {
    if (event.event === 'run') this.#moment = { ...this.#moment, shards: event.config.shards };
    if (event.event === 'start') this.#moment = { ...this.#moment, start: event };
    if (event.event === 'step') this.#moment = { ...this.#moment, step: event };
    if (event.event === 'status') this.#moment = { ...this.#moment, status: event };
    if (event.event === 'done' || event.event === 'error') this.#over = true;
  }

  #draw(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#over) return;
    const lines = frame(this.#moment, this.#stream.columns ?? 80, this.#stream.hasColors?.() ?? false);
    this.#view?.(lines.join('\n'));
  }
}
