/**
 * Text output on stderr: lines, and a live view below them if stderr is a terminal. The view is redrawn a few times per second,
 * independently of the number of steps.
 */

import { createLogUpdate } from 'log-update';
import { printableLines } from '../../shared/protocol/printable.js';
import type { TimedEvent } from '../../shared/runs/run-events.js';
import { EventFormatter } from './event-formatter.js';
import { liveView, type LatestEvents } from './live-view.js';
import { isLogged, type LogLevel } from './log-level.js';

export interface Terminal extends NodeJS.WritableStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  /** Returns true if colors are enabled; it respects NO_COLOR and FORCE_COLOR. */
  hasColors?(): boolean;
}

export interface TerminalReporterOptions {
  readonly stream: Terminal;
  readonly level: LogLevel;
  /** True for a terminal that cannot move its cursor; it receives plain lines. */
  readonly dumb: boolean;
}

const redrawMs = 250;

export class TerminalReporter {
  readonly #stream: Terminal;
  readonly #level: LogLevel;
  readonly #formatter: EventFormatter;
  readonly #view: ReturnType<typeof createLogUpdate> | undefined;
  #latest: LatestEvents = { shards: 0 };
  #timer: NodeJS.Timeout | undefined;
  #ended = false;

  constructor({ stream, level, dumb }: TerminalReporterOptions) {
    this.#stream = stream;
    this.#level = level;
    const live = stream.isTTY === true && !dumb && isLogged('info', level);
    this.#view = live ? createLogUpdate(stream) : undefined;
    this.#formatter = new EventFormatter({ withRate: !live });
  }

  emit(event: TimedEvent): void {
    this.#record(event);
    for (const { level, text } of this.#formatter.format(event)) {
      if (isLogged(level, this.#level)) this.printLine(printableLines(text));
    }
    if (this.#view && !this.#ended) this.#timer ??= setTimeout(() => this.#draw(), redrawMs);
  }

  /** Prints a line above the view. */
  printLine(text: string): void {
    this.#view?.clear();
    this.#stream.write(`${text}\n`);
    if (this.#view) this.#draw();
  }

  close(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#view?.clear();
    this.#view?.done();
  }

  #record(event: TimedEvent): void {
    if (event.event === 'run') this.#latest = { ...this.#latest, shards: event.config.shards };
    if (event.event === 'start') this.#latest = { ...this.#latest, start: event };
    if (event.event === 'step') this.#latest = { ...this.#latest, step: event };
    if (event.event === 'status') this.#latest = { ...this.#latest, status: event };
    if (event.event === 'done' || event.event === 'error') this.#ended = true;
  }

  #draw(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#ended) return;
    const lines = liveView(this.#latest, this.#stream.columns ?? 80, this.#stream.hasColors?.() ?? false);
    this.#view?.(lines.join('\n'));
  }
}
