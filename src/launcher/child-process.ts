/**
 * Child processes of the launcher: started with an IPC channel, their stderr passed on, ended for certain. A child ends by
 * itself when its launcher is gone, because the channel closes.
 */

import { fork, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../cli/main.js', import.meta.url));

/** What TensorFlow prints before it has read its log level; says nothing to a person. */
const noise =
  /^(WARNING: All log messages before absl::InitializeLog|[IW]\d{4} \d\d:|[IW]0000 |\d{4}-\d\d-\d\d .*: [IW] )/;

export interface ChildOptions {
  readonly stdout?: 'ignore' | 'inherit';
  /** Takes the lines of its stderr. */
  readonly say?: (line: string) => void;
}

const toStderr = (line: string): void => void process.stderr.write(`${line}\n`);

export class Child {
  readonly #process: ChildProcess;
  /** How it ended, in words: `exited with status 1`, `was killed by SIGKILL`. */
  readonly ended: Promise<{ how: string; ok: boolean }>;

  constructor(args: readonly string[], { stdout = 'ignore', say = toStderr }: ChildOptions = {}) {
    this.#process = fork(main, [...args], {
      stdio: ['ignore', stdout, 'pipe', 'ipc'],
      serialization: 'advanced',
    });
    const { stderr } = this.#process;
    if (stderr) {
      createInterface({ input: stderr }).on('line', (line) => {
        if (!noise.test(line)) say(line);
      });
    }
    this.ended = new Promise((resolve) => {
      this.#process.once('error', (error) =>
        resolve({ how: `could not start (${error.message})`, ok: false }),
      );
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

  /** Waits so long for it to end by itself, then kills it. */
  async end(graceMs: number): Promise<void> {
    const timer = setTimeout(() => this.kill(), graceMs);
    await this.ended;
    clearTimeout(timer);
  }

  kill(): void {
    this.#process.kill('SIGKILL');
  }
}

/** In a launched child: calls `gone` when the launcher has ended, also when it had before. */
export function onLauncherGone(gone: () => void): void {
  if (process.connected) process.once('disconnect', gone);
  else gone();
}

/** In a launched child: Ctrl-C reaches the whole group, but only the launcher acts on it. */
export function leaveSignalsToLauncher(): void {
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => undefined);
}
