/**
 * Runs a command of Lockstep in a child process for the functions of the API. The calling process gets no signal listeners, no tensor
 * engine and no environment variables from it, and several calls can run at the same time.
 */

import { Child } from '../../launcher/child-process.js';
import { calledOption, type CallFailed } from '../../launcher/called-process.js';
import { fromWireError, InvariantError } from '../../shared/errors.js';

export interface CommandOptions {
  readonly signal?: AbortSignal | undefined;
  /** Receives each line of stdout, which is a JSON object. */
  readonly onOutput: (value: unknown) => void;
  /** Receives each line of stderr. */
  readonly onLine?: ((line: string) => void) | undefined;
  /** Sent to the child when `signal` is aborted. */
  readonly stopWith: NodeJS.Signals;
}

export interface CommandEnd {
  readonly status: number | null;
  /** The error that ended the command, if it reported one. */
  readonly error: Error | undefined;
  /** Text for messages, for example `exited with status 1`. */
  readonly how: string;
  /** The last lines of stderr. */
  readonly lastLines: readonly string[];
}

/** Number of lines of stderr that are kept for the message of an unexpected end. */
const keptLines = 20;

/** Resolves when the child process has ended. An abort stops it. */
export async function runCommand(
  args: readonly string[],
  { signal, onOutput, onLine, stopWith }: CommandOptions,
): Promise<CommandEnd> {
  const lastLines: string[] = [];
  let error: Error | undefined;
  const child = new Child([...args, calledOption], {
    stdout: 'pipe',
    execArgv: [],
    onOutput: (line) => {
      if (line.startsWith('{')) onOutput(JSON.parse(line));
    },
    onLine: (line) => {
      lastLines.push(line);
      if (lastLines.length > keptLines) lastLines.shift();
      onLine?.(line);
    },
  });
  child.onMessage((message) => {
    if (isCallFailed(message)) error = fromWireError(message.error);
  });
  const stop = (): void => child.kill(stopWith);
  if (signal?.aborted === true) stop();
  signal?.addEventListener('abort', stop);
  try {
    const { how } = await child.ended;
    return { status: child.status, error, how, lastLines };
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

function isCallFailed(message: unknown): message is CallFailed {
  return typeof message === 'object' && message !== null && 'kind' in message && message.kind === 'callFailed';
}

/** The error of a command that ended without a reason of its own. */
export function unexpectedEnd(name: string, { how, lastLines }: CommandEnd): Error {
  const lines = lastLines.length === 0 ? '' : ` Its last lines: ${lastLines.join('\n')}`;
  return new InvariantError(`lockstep ${name} ${how} without an error.${lines}`);
}
