/** Starts the real command in real processes, and ends those that a test leaves. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach } from 'vitest';
import type { RunEvent } from '../../src/shared/runs/run-events.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const main = join(root, 'dist', 'cli', 'main.js');

export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Lines of stdout that are JSON. */
  readonly events: readonly RunEvent[];
}

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** The Node executable of the command and of the processes that it starts; default: this one. */
  readonly node?: string;
  /** Path of the command; default: that of the build. */
  readonly command?: string;
  /** A command that starts the process, for example `nsenter` with its options. */
  readonly within?: readonly string[];
}

export class Lockstep {
  readonly #process: ChildProcess;
  readonly #waiting = new Set<() => void>();
  readonly ended: Promise<Ended>;
  stdout = '';
  stderr = '';
  readonly #events: RunEvent[] = [];
  /** Offset in stdout of the first line that has not been read as an event. */
  #unread = 0;
  #over = false;

  constructor(
    args: readonly string[],
    { env = {}, cwd = root, node = process.execPath, command = main, within = [] }: StartOptions = {},
  ) {
    const line = [...within, node, command, ...args];
    this.#process = spawn(line[0] ?? node, line.slice(1), {
      cwd,
      // A test run under nohup must not make its processes ignore SIGHUP.
      env: { ...process.env, _: process.execPath, NO_COLOR: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#process.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
      for (const wake of this.#waiting) wake();
    });
    this.#process.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    this.ended = new Promise((resolve) => {
      this.#process.once('close', (status, signal) => {
        this.#over = true;
        for (const wake of this.#waiting) wake();
        resolve({ status, signal, stdout: this.stdout, stderr: this.stderr, events: this.events });
      });
    });
    running.add(this);
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** Events of the whole lines so far; the same objects at each call. */
  get events(): readonly RunEvent[] {
    const end = this.stdout.lastIndexOf('\n') + 1;
    for (const line of this.stdout.slice(this.#unread, end).split('\n'))
      if (line.startsWith('{')) this.#events.push(JSON.parse(line) as RunEvent);
    this.#unread = end;
    return this.#events;
  }

  /** Resolves with the first event that fits; rejects when the process ends without one. */
  event<Name extends RunEvent['event']>(
    name: Name,
    fits: (event: Extract<RunEvent, { event: Name }>) => boolean = () => true,
  ): Promise<Extract<RunEvent, { event: Name }>> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const found = this.events.find(
          (event): event is Extract<RunEvent, { event: Name }> =>
            event.event === name && fits(event as Extract<RunEvent, { event: Name }>),
        );
        if (!found && !this.#over) return;
        this.#waiting.delete(look);
        if (found) resolve(found);
        else reject(new Error(`ended without the event "${name}": ${this.stderr.slice(-2000)}`));
      };
      this.#waiting.add(look);
      look();
    });
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }
}

const running = new Set<Lockstep>();

/** Kills whatever a test left, children included, and waits for it. */
export async function endAll(): Promise<void> {
  for (const command of running) {
    for (const pid of [...(await descendants(command.pid)), command.pid]) {
      try {
        process.kill(pid, 'SIGCONT');
        process.kill(pid, 'SIGKILL');
      } catch {
        // Ended already.
      }
    }
    await command.ended;
  }
  running.clear();
}

/** Runs the command to its end. */
export function lockstep(args: readonly string[], options?: StartOptions): Promise<Ended> {
  return new Lockstep(args, options).ended;
}

interface ProcessLine {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
}

async function processes(): Promise<ProcessLine[]> {
  const lines: ProcessLine[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const [stat, command] = await Promise.all([
      readFile(`/proc/${name}/stat`, 'utf8').catch(() => ''),
      readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => ''),
    ]);
    const [, state, parent] = /\) (\S) (\d+)/.exec(stat) ?? [];
    if (state !== undefined && state !== 'Z')
      lines.push({ pid: Number(name), parent: Number(parent), command });
  }
  return lines;
}

/** Every process below `pid`. */
export async function descendants(pid: number): Promise<number[]> {
  const all = await processes();
  const below = (parent: number): number[] =>
    all.filter((line) => line.parent === parent).flatMap((line) => [line.pid, ...below(line.pid)]);
  return below(pid);
}

/** Returns the processes among `pids` that still run. */
export async function alive(pids: readonly number[]): Promise<number[]> {
  const all = new Set((await processes()).map(({ pid }) => pid));
  return pids.filter((pid) => all.has(pid));
}

/** A folder of its own for each test that asks, removed afterwards. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'lockstep-test-'));
  folders.push(folder);
  return folder;
}
const folders: string[] = [];

afterEach(async () => {
  await endAll();
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});
