/** Distributes a run's events: to the event log in the run's folder, to stdout as JSON, to stderr as text, and to observers. */

import { join } from 'node:path';
import type { Callbacks } from '../../api/callbacks.js';
import type { FoundCheckpoint } from '../../shared/checkpoint/read-checkpoint.js';
import type { ConfigChange } from '../../shared/config/resume-policy.js';
import { eventsName } from '../../shared/runs/read-events.js';
import type { RunEvent, TimedEvent } from '../../shared/runs/run-events.js';
import { printToStdout, type StdoutListener } from '../guard-output.js';
import { dumbTerminal } from '../environment/environment.js';
import { CallbackRunner } from './callback-runner.js';
import { openEventLog } from './event-log.js';
import type { LogLevel } from './log-level.js';
import { RunControls } from './run-controls.js';
import { StructuredLog } from './structured-log.js';
import { TerminalReporter } from './terminal-reporter.js';

export interface Reporters {
  /** Requests of the users of the run's dashboard. */
  readonly controls: RunControls;
  emit(event: RunEvent): void;
  /** Reports an outage of a file. After the run's last event it is only printed, so that this event is the last one of the log. */
  notice(message: string): void;
  /** Prints a line that is not an event, such as the output of a worker's libraries. */
  printLine(text: string): void;
  /** Resolves when everything is written. */
  close(): Promise<void>;
}

/** Receives every event of a run, as the dashboard does. */
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
  readonly observers?: readonly Observer[];
  /** Callbacks of the training definition. */
  readonly callbacks: readonly Callbacks[];
  /** Fields that a resumed run changes. */
  readonly changes?: readonly ConfigChange[];
  readonly warnings?: readonly string[];
  /** Called when training starts, and awaited at the end. */
  readonly onStart?: (warn: (message: string) => void) => Promise<void>;
  readonly controls?: RunControls;
}

/** @throws ConfigError if the folder cannot be written */
export function openReporters({
  out,
  json,
  logLevel,
  logFormat,
  resume,
  observers = [],
  callbacks,
  changes = [],
  warnings = [],
  onStart,
  controls = new RunControls(),
}: ReporterOptions): Reporters {
  const log = openEventLog(out, resume === null ? 'append' : 'resume', (message) =>
    reporters.notice(message),
  );
  const { stderr } = process;
  const textLog =
    logFormat === 'json'
      ? new StructuredLog(logLevel, stderr)
      : new TerminalReporter({ stream: stderr, level: json ? 'silent' : logLevel, dumb: dumbTerminal() });
  const warn = (message: string): void => reporters.emit({ event: 'warning', message });
  const runner = new CallbackRunner(
    callbacks,
    (message) => reporters.notice(message),
    (event) => reporters.emit(event),
  );
  const elsewhere = `training continues, and its events are in ${join(out, eventsName)}.`;
  const stdout: StdoutListener = {
    closed: () => warn(`stdout is closed: ${elsewhere}`),
    failing: (reason) => warn(`stdout can't be written (${reason}): ${elsewhere}`),
  };
  let started: Promise<void> | undefined;
  let isOver = false;
  const reporters: Reporters = {
    controls,
    emit: (event) => {
      if (event.event === 'start') started = onStart?.(warn);
      if (event.event === 'done' || event.event === 'error') isOver = true;
      const timed: TimedEvent = { ...event, timeMs: Date.now() };
      log.emit(timed);
      if (json) printToStdout(JSON.stringify(timed), stdout);
      textLog.emit(timed);
      for (const observer of observers) observer.emit(timed);
      runner.emit(event);
    },
    notice: (message) => {
      if (isOver) textLog.printLine(`Warning: ${message}`);
      else warn(message);
    },
    printLine: (text) => textLog.printLine(text),
    close: async () => {
      await started;
      await runner.close();
      textLog.close();
      await Promise.all([log.close(), ...observers.map((observer) => observer.close())]);
    },
  };
  if (resume) {
    const { path, skipped, manifest } = resume;
    reporters.emit({ event: 'resumed', step: manifest.step, path, skipped });
    for (const change of changes) reporters.emit({ event: 'changed', step: manifest.step, ...change });
  }
  warnings.forEach(warn);
  return reporters;
}
