/**
 * Standard output and error that cannot be written: the reader has ended, as in `lockstep runs | head -1` or after a terminal has closed,
 * or the disk of a file is full or fails.
 */

import { systemCode } from '../shared/errors.js';
import { exitStatus, statusOfStop } from '../shared/exit-status.js';
import type { TimedEvent } from '../shared/runs/run-events.js';

/** Receives what happens to stdout, which the run survives. */
export interface StdoutListener {
  /** The reader has ended; nothing more is printed. Called once. */
  closed(): void;
  /** Lines cannot be printed for a time. Called once per outage. */
  failing(reason: string): void;
}

let isClosed = false;
let listener: StdoutListener | undefined;
/** True from the first line that could not be printed to the next one that was. */
let isFailing = false;
/** Number of these lines, and the time of the first of them. */
let lost = 0;
let lostFromMs = 0;

/**
 * Without a listener, Node ends the process with a stack at the first write that fails. Must be called once, before any output.
 * @param continues true for a command whose work does not depend on its output; any other ends, with the status of SIGPIPE if its
 * reader has ended
 */
export function guardOutput(continues: boolean): void {
  process.stderr.on('error', () => undefined);
  process.stdout.on('error', (error: Error) => {
    const reason = systemCode(error) ?? error.message;
    const isGone = process.stdout.isTTY || ['EPIPE', 'ECONNRESET'].includes(reason);
    if (!continues) {
      if (isGone) process.exit(statusOfStop('SIGPIPE'));
      process.stderr.write(`Error: stdout can't be written (${reason}).\n`);
      process.exit(exitStatus.failed);
    }
    if (isClosed) return;
    if (isGone) {
      isClosed = true;
      listener?.closed();
      return;
    }
    lost++;
    if (isFailing) return;
    isFailing = true;
    lostFromMs = Date.now();
    listener?.failing(reason);
  });
}

/**
 * Writes a line of JSON to stdout, unless its reader has ended. After an outage, an incomplete line is ended, and a gap takes the place of
 * the lines that are missing.
 */
export function printToStdout(line: string, events: StdoutListener): void {
  if (isClosed) return;
  listener = events;
  if (lost === 0) {
    process.stdout.write(`${line}\n`);
    return;
  }
  const missing = lost;
  lost = 0;
  const gap: TimedEvent = { event: 'gap', lines: missing, fromMs: lostFromMs, timeMs: Date.now() };
  process.stdout.write(`\n${JSON.stringify(gap)}\n${line}\n`, (error) => {
    if (error) lost += missing;
    else isFailing = false;
  });
}
