/**
 * Runs another program to its end with captured output and a time limit. Prints nothing.
 */
import { spawn } from 'node:child_process';

export interface ProgramResult {
  /** Exit status; undefined if the program could not be started or was ended by a signal. */
  readonly status: number | undefined;
  readonly stdout: string;
  /** The failure in one line: the last line of stderr, the signal, the time-out, "not found". Empty on success. */
  readonly failure: string;
}

const keptCharacters = 64 * 1024;

/** Never rejects: a missing program is reported in the result. */
export function runProgram(
  program: string,
  args: readonly string[],
  { timeoutMs, cwd }: { readonly timeoutMs: number; readonly cwd?: string },
): Promise<ProgramResult> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    let timedOut = false;
    child.stdout
      .setEncoding('utf8')
      .on('data', (text: string) => (stdout = (stdout + text).slice(-keptCharacters)));
    child.stderr
      .setEncoding('utf8')
      .on('data', (text: string) => (stderr = (stderr + text).slice(-keptCharacters)));
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
    }, timeoutMs);
    child.once('error', (error) => {
      clearTimeout(timer);
      const missing = 'code' in error && error.code === 'ENOENT';
      resolve({ status: undefined, stdout, failure: missing ? `${program}: not found` : error.message });
    });
    child.once('close', (status, signal) => {
      clearTimeout(timer);
      const failure = timedOut
        ? `no end after ${timeoutMs / 1000} s`
        : signal !== null
          ? `ended by ${signal}`
          : status === 0
            ? ''
            : lastError(stderr) || lastError(stdout) || `exit status ${status}`;
      resolve({ status: timedOut ? undefined : (status ?? undefined), stdout, failure });
    });
  });
}

/** Returns the last line that contains "error", else the last line. */
function lastError(text: string): string {
  const lines = text.split('\n').map((line) => line.trim());
  const named = lines.filter((line) => /\berror\b/i.test(line));
  return (named.at(-1) ?? lines.filter(Boolean).at(-1) ?? '').slice(0, 400);
}
