/** Standard output and error whose reader ends, as in `lockstep runs | head -1` or after a terminal has closed. */

import { statusOfStop } from '../shared/exit-status.js';

let isClosed = false;
let onClosed: (() => void) | undefined;

/**
 * Without a listener, Node ends the process with a stack at the first write that fails. Must be called once, before any output.
 * @param continues true for a command whose work does not depend on its output; any other ends with the status of SIGPIPE
 */
export function guardOutput(continues: boolean): void {
  process.stderr.on('error', () => undefined);
  process.stdout.on('error', () => {
    if (!continues) process.exit(statusOfStop('SIGPIPE'));
    if (isClosed) return;
    isClosed = true;
    onClosed?.();
  });
}

/** Writes a line to stdout, unless its reader has ended. `closed` is called once when that is noticed. */
export function printToStdout(line: string, closed: () => void): void {
  if (isClosed) return;
  onClosed = closed;
  process.stdout.write(`${line}\n`);
}
