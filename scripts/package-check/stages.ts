/** Runs commands one after the other, each in a folder, and measures their times. A failed command ends the sequence. */
import { spawn, type ChildProcess } from 'node:child_process';

const stageTimeoutMs = 10 * 60_000;

/** The environment without the variables that npm sets for this checkout, which would affect npm in other folders. */
const cleanEnvironment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(npm_(config|package|lifecycle)_|LOCKSTEP_)/i.test(name)),
);

/** Returns the last 20 lines, shortened, because events can contain images. */
const lastLines = (text: string): string =>
  text
    .split('\n')
    .slice(-20)
    .map((line) => line.slice(0, 300))
    .join('\n');

/** A started command in a process group of its own. */
export class RunningCommand {
  readonly #child: ChildProcess;
  readonly #waiters = new Set<() => void>();
  /** Exit status; null if a signal ended the command. */
  readonly ended: Promise<number | null>;
  stdout = '';
  #hasEnded = false;

  constructor(command: string, args: readonly string[], cwd: string, environment: Record<string, string>) {
    this.#child = spawn(command, args, {
      cwd,
      env: { ...cleanEnvironment, ...environment },
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    });
    const timer = setTimeout(() => this.signal('SIGKILL'), stageTimeoutMs);
    this.ended = new Promise((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('close', (status) => {
        clearTimeout(timer);
        this.#hasEnded = true;
        this.#notify();
        resolve(status);
      });
    });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
      this.#notify();
    });
  }

  #notify(): void {
    for (const check of this.#waiters) check();
  }

  /**
   * Waits until stdout matches a pattern and returns the first match.
   * @throws Error if the command ends without a match
   */
  waitForOutput(pattern: RegExp): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const check = (): void => {
        const found = pattern.exec(this.stdout);
        if (!found && !this.#hasEnded) return;
        this.#waiters.delete(check);
        if (found) resolve(found);
        else reject(new Error(`stdout: expected ${String(pattern)}, got:\n${lastLines(this.stdout)}`));
      };
      this.#waiters.add(check);
      check();
    });
  }

  /** Sends a signal to the process group, as Ctrl-C does. Has no effect after the command has ended. */
  signal(signal: NodeJS.Signals): void {
    if (!this.#hasEnded && this.#child.pid !== undefined) process.kill(-this.#child.pid, signal);
  }
}

export class StageRunner {
  readonly #environment: Record<string, string>;
  readonly #times: (readonly [label: string, seconds: number])[] = [];
  #running: RunningCommand | undefined;

  /** @param environment variables of the commands in addition to those of this process */
  constructor(environment: Record<string, string>) {
    this.#environment = environment;
  }

  /**
   * Runs a command until it ends and returns its stdout.
   * @throws Error for an exit status other than 0, or for a signal unless `duringRun` is given
   */
  async stage(
    cwd: string,
    [command = '', ...args]: readonly string[],
    { label = [command, ...args].join(' '), duringRun }: StageOptions = {},
  ): Promise<string> {
    process.stderr.write(`${label} ...\n`);
    const startedMs = performance.now();
    const running = new RunningCommand(command, args, cwd, this.#environment);
    this.#running = running;
    await duringRun?.(running);
    const status = await running.ended;
    if (status !== 0 && !(status === null && duringRun))
      throw new Error(
        `${label}: expected exit status 0, got ${String(status)}:\n${lastLines(running.stdout)}`,
      );
    const seconds = (performance.now() - startedMs) / 1000;
    this.#times.push([label, seconds]);
    process.stderr.write(`    ${seconds.toFixed(1)} s\n`);
    return running.stdout;
  }

  /** Kills the processes of a failed stage. */
  async close(): Promise<void> {
    this.#running?.signal('SIGKILL');
    await this.#running?.ended.catch(() => null);
  }

  /** Returns a table with the time of each stage and the total. */
  report(): string {
    const total = this.#times.reduce((sum, [, seconds]) => sum + seconds, 0);
    const width = Math.max(...this.#times.map(([label]) => label.length));
    return [...this.#times, ['total', total] as const]
      .map(([label, seconds]) => `${label.padEnd(width)}  ${seconds.toFixed(1).padStart(6)} s`)
      .join('\n');
  }
}

interface StageOptions {
  /** Name of the stage in the output (default: the command line). */
  readonly label?: string;
  /** Called while the command runs; may interrupt it. */
  readonly duringRun?: (running: RunningCommand) => Promise<void>;
}

/** @throws Error if `text` does not match the pattern */
export function expectIn(text: string, pattern: RegExp): void {
  if (!pattern.test(text)) throw new Error(`Expected ${String(pattern)}, got:\n${lastLines(text)}`);
}
