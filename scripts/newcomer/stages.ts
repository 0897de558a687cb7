/** The stages of a walk: each one command in one folder, timed, whose failure ends the walk. Owns the processes that it starts. */
import { spawn, type ChildProcess } from 'node:child_process';

const stageTimeoutMs = 10 * 60_000;

/** What npm hands down from this checkout's scripts and .npmrc would make another folder less empty than it looks. */
const inherited = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(npm_(config|package|lifecycle)_|LOCKSTEP_)/i.test(name)),
);

/** The end of it, without the pictures that events have. */
const lastLines = (text: string): string =>
  text
    .split('\n')
    .slice(-20)
    .map((line) => line.slice(0, 300))
    .join('\n');

/** A command that has been started, in a process group of its own, as a shell would. */
export class Running {
  readonly #child: ChildProcess;
  readonly #looks = new Set<() => void>();
  /** Exit status; null: by a signal. */
  readonly ended: Promise<number | null>;
  stdout = '';
  #over = false;

  constructor(command: string, args: readonly string[], cwd: string, environment: Record<string, string>) {
    this.#child = spawn(command, args, {
      cwd,
      env: { ...inherited, ...environment },
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    });
    const timer = setTimeout(() => this.signal('SIGKILL'), stageTimeoutMs);
    this.ended = new Promise((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('close', (status) => {
        clearTimeout(timer);
        this.#over = true;
        this.#look();
        resolve(status);
      });
    });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
      this.#look();
    });
  }

  #look(): void {
    for (const look of this.#looks) look();
  }

  /** The first match in what it has said so far or says later. @throws when it ends without saying so */
  said(pattern: RegExp): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const found = pattern.exec(this.stdout);
        if (!found && !this.#over) return;
        this.#looks.delete(look);
        if (found) resolve(found);
        else reject(new Error(`Ended without ${String(pattern)}; it said:\n${lastLines(this.stdout)}`));
      };
      this.#looks.add(look);
      look();
    });
  }

  /** To the whole group, as Ctrl-C does it; nothing once it has ended. */
  signal(signal: NodeJS.Signals): void {
    if (!this.#over && this.#child.pid !== undefined) process.kill(-this.#child.pid, signal);
  }
}

export class Walk {
  readonly #environment: Record<string, string>;
  readonly #times: (readonly [what: string, seconds: number])[] = [];
  #running: Running | undefined;

  /** `environment` is what the commands get beside this process's own. */
  constructor(environment: Record<string, string>) {
    this.#environment = environment;
  }

  /** Runs the command to its end, unless `meanwhile` ends it; gives what it wrote to stdout. */
  async stage(
    cwd: string,
    [command = '', ...args]: readonly string[],
    { shown = [command, ...args].join(' '), meanwhile }: StageOptions = {},
  ): Promise<string> {
    process.stderr.write(`${shown} ...\n`);
    const startedMs = performance.now();
    const running = new Running(command, args, cwd, this.#environment);
    this.#running = running;
    await meanwhile?.(running);
    const status = await running.ended;
    if (status !== 0 && !(status === null && meanwhile))
      throw new Error(
        `${shown}: expected exit status 0, got ${String(status)}:\n${lastLines(running.stdout)}`,
      );
    const seconds = (performance.now() - startedMs) / 1000;
    this.#times.push([shown, seconds]);
    process.stderr.write(`    ${seconds.toFixed(1)} s\n`);
    return running.stdout;
  }

  /** Kills what a stage that failed has left. */
  async end(): Promise<void> {
    this.#running?.signal('SIGKILL');
    await this.#running?.ended.catch(() => null);
  }

  /** A line a stage, and the total. */
  report(): string {
    const total = this.#times.reduce((sum, [, seconds]) => sum + seconds, 0);
    const width = Math.max(...this.#times.map(([what]) => what.length));
    return [...this.#times, ['total', total] as const]
      .map(([what, seconds]) => `${what.padEnd(width)}  ${seconds.toFixed(1).padStart(6)} s`)
      .join('\n');
  }
}

interface StageOptions {
  /** Instead of the command itself. */
  readonly shown?: string;
  /** Done while it runs, before its end is waited for; may end it. */
  readonly meanwhile?: (running: Running) => Promise<void>;
}

/** @throws unless `text` has it */
export function expectIn(text: string, pattern: RegExp): void {
  if (!pattern.test(text)) throw new Error(`Expected ${String(pattern)}, got:\n${lastLines(text)}`);
}
