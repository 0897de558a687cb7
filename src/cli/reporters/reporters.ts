/** Where a run's events go: the run's folder, and stdout as JSON or stderr for people. */

import type { FoundCheckpoint } from '../../shared/checkpoint/checkpoint.js';
import type { RunEvent, TimedEvent } from '../../shared/runs/run-events.js';
import { dumbTerminal } from '../options/environment.js';
import type { Callbacks } from '../../api/callbacks.js';
import { CallbackRunner } from './callback-runner.js';
import { openEventLog } from './event-log.js';
import { HumanReporter } from './human.js';
import type { LogLevel } from './lines.js';
import { StructuredLog } from './structured-log.js';

export interface Reporters {
  emit(event: RunEvent): void;
  /** A line for people that is no event, such as what a worker's libraries print. */
  say(text: string): void;
  /** Resolves when everything is on disk. */
  close(): Promise<void>;
}

/** Sees every event of a run, as the dashboard does. */
export interface Observer {
  emit(event: TimedEvent): void;
  close(): Promise<void>;
}

export interface ReporterOptions {
  readonly out: string;
  readonly json: boolean;
  readonly logLevel: LogLevel;
  readonly logFormat: 'text' | 'json';
  readonly resume: FoundCheckpoint | null;
  /** Goes on with the log that is there, as a resumed run does. */
  readonly append?: boolean;
  readonly observers?: readonly Observer[];
  /** The definition's. */
  readonly callbacks: readonly Callbacks[];
}

/** @throws ConfigError when the folder can't be written. */
export function openReporters({
  out,
  json,
  logLevel,
  logFormat,
  resume,
  append,
  observers = [],
  callbacks,
}: ReporterOptions): Reporters {
  const log = openEventLog(out, resume !== null || append === true);
  const { stderr } = process;
  const people =
    logFormat === 'json'
      ? new StructuredLog(logLevel, stderr)
      : new HumanReporter({ stream: stderr, level: json ? 'silent' : logLevel, dumb: dumbTerminal() });
  const runner = new CallbackRunner(callbacks, (message) => reporters.emit({ event: 'warning', message }));
  const reporters: Reporters = {
    emit: (event) => {
      const timed: TimedEvent = { ...event, timeMs: Date.now() };
      log.emit(timed);
      if (json) process.stdout.write(`${JSON.stringify(timed)}\n`);
      people.emit(timed);
      for (const observer of observers) observer.emit(timed);
      runner.emit(event);
    },
    say: (text) => people.say(text),
    close: async () => {
      await runner.close();
      people.close();
      await Promise.all([log.close(), ...observers.map((observer) => observer.close())]);
    },
  };
  if (resume) {
    const { path, skipped, manifest } = resume;
    reporters.emit({ event: 'resumed', step: manifest.step, path, skipped });
  }
  return reporters;
}
