/**
 * Runs another program to its end: output captured, time bounded, nothing printed. Owns the child until it exits.
 */
import { spawn } from 'node:child_process';

export interface ProgramResult {
  /** Exit status; undefined when the program could not be started or a signal ended it. */
  readonly status: number | undefined;
  readonly stdout: string;
  /** What went wrong, in one line: the last line of stderr, the signal, the time-out, "not found". Empty on success. */
  readonly failure: string;
}

const keptCharacters = 64 * 1024;

/** Never rejects: a program that is not there is an answer like any other. */
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

/** The last line that says "error", else the last line. */
function lastError(text: string): string {
  const lines = text.split('\n').map((line) => line.trim());
  const named = lines.filter((line) => /\berror\b/i.test(line));
  return (named.at(-1) ?? lines.filter(Boolean).at(-1) ?? '').slice(0, 400);
}
