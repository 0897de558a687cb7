/**
 * Child processes of the launcher. Each has an IPC channel, its stderr is forwarded line by line, and it is guaranteed to end. A child ends
 * by itself when its launcher has ended, because its IPC channel then closes.
 */

import { fork, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { awakeTimeout } from '../shared/time/awake-clock.js';

/** The entry point of the command line, which every child runs. The launcher imports nothing from it. */
const main = fileURLToPath(new URL('../cli/main.js', import.meta.url));

/** Lines that TensorFlow prints before it has read its log level. */
const noise =
  /^(WARNING: All log messages before absl::InitializeLog|[IW]\d{4} \d\d:|[IW]0000 |\d{4}-\d\d-\d\d .*: [IW] )/;

export interface ChildOptions {
  readonly stdout?: 'ignore' | 'inherit' | 'pipe';
  /** Receives the lines of the child's stderr. */
  readonly onLine?: (line: string) => void;
  /** Receives the lines of the child's stdout, which is then `pipe`. */
  readonly onOutput?: (line: string) => void;
  /** Options of Node for the child; default: those of this process. */
  readonly execArgv?: readonly string[];
}

export interface ChildExit {
  /** Text for messages, for example `exited with status 1` or `was killed by SIGKILL`. */
  readonly how: string;
  readonly ok: boolean;
}

const toStderr = (line: string): void => void process.stderr.write(`${line}\n`);

export class Child {
  readonly #process: ChildProcess;
  readonly ended: Promise<ChildExit>;

  constructor(args: readonly string[], options: ChildOptions = {}) {
    const { stdout = 'ignore', onLine = toStderr, onOutput, execArgv } = options;
    this.#process = fork(main, [...args], {
      stdio: ['ignore', stdout, 'pipe', 'ipc'],
      serialization: 'advanced',
      ...(execArgv && { execArgv: [...execArgv] }),
    });
    const { stderr, stdout: output } = this.#process;
    if (output && onOutput) {
      output.on('error', (error) => onLine(`Output of process ${this.pid} can't be read: ${error.message}`));
      createInterface({ input: output }).on('line', onOutput);
    }
    if (stderr) {
      // An error of the pipe only ends the forwarding of lines.
      stderr.on('error', (error) => onLine(`Output of process ${this.pid} can't be read: ${error.message}`));
      createInterface({ input: stderr }).on('line', (line) => {
        if (!noise.test(line)) onLine(line);
      });
    }
    this.ended = new Promise((resolve) => {
      // Emitted if the process cannot start, and also if a signal cannot be sent to it.
      this.#process.on('error', (error) => {
        if (this.#process.pid === undefined)
          resolve({ how: `could not start (${error.message})`, ok: false });
        else onLine(`Process ${this.pid}: ${error.message}`);
      });
      this.#process.once('close', (code, signal) => {
        const how = signal === null ? `exited with status ${code ?? '?'}` : `was killed by ${signal}`;
        resolve({ how, ok: code === 0 });
      });
    });
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  get status(): number | null {
    return this.#process.exitCode;
  }

  onMessage(handle: (message: unknown) => void): void {
    this.#process.on('message', handle);
  }

  send(message: object): void {
    if (this.#process.connected) this.#process.send(message, () => undefined);
  }

  /** Waits up to `graceMs` for the process to end by itself, then kills it. */
  async end(graceMs: number): Promise<void> {
    const cancel = awakeTimeout(graceMs, () => this.kill());
    await this.ended;
    cancel();
  }

  kill(signal: NodeJS.Signals = 'SIGKILL'): void {
    this.#process.kill(signal);
  }
}

/** In a launched child: calls `onGone` once the launcher has ended, even if it ended before this call. */
export function onLauncherGone(onGone: () => void): void {
  if (process.connected) process.once('disconnect', onGone);
  else onGone();
}
