/**
 * A training observed by `lockstep chaos`: the real command in a process of its own, its events with their times of arrival, and the
 * processes that currently take part. Owns the process and ends what is left of it.
 */

import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { RunEvent } from '../shared/runs/run-events.js';
import { descendants, startOf, survivors } from './processes.js';

const main = fileURLToPath(new URL('../cli/main.js', import.meta.url));

export type Of<Name extends RunEvent['event']> = Extract<RunEvent, { event: Name }>;
/** Milliseconds since 1970. */
export type Timed = RunEvent & { readonly atMs: number };

export interface TrainingOutcome {
  readonly status: number | null;
  readonly events: readonly Timed[];
  readonly stderr: string;
  /** Processes that outlived the command, and sockets that it left. */
  readonly leftovers: readonly string[];
}

export class Training {
  readonly #process: ChildProcess;
  readonly #sockets: string;
  readonly #listeners = new Set<(event: Timed) => void>();
  readonly events: Timed[] = [];
  readonly ended: Promise<TrainingOutcome>;
  /** Pid of the current coordinator. */
  coordinator = 0;
  /** Pids of the current generation's workers, by rank. */
  members: ReadonlyMap<number, number> = new Map();
  step = 0;
  /** Start times of all processes of the run that were seen, by PID. */
  readonly #everyone = new Map<number, string>();

  /** @param sockets folder for the sockets of this command alone; created if it does not exist */
  constructor(
    args: readonly string[],
    sockets: string,
    timeoutMs: number,
    environment: Readonly<Record<string, string>> = {},
  ) {
    mkdirSync(sockets, { recursive: true });
    this.#sockets = sockets;
    this.#process = spawn(process.execPath, [main, 'train', ...args, '--json'], {
      env: { ...process.env, ...environment, TMPDIR: sockets },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const timer = setTimeout(() => this.killAll(), timeoutMs);
    running.add(this);
    let stderr = '';
    this.#process.stderr
      ?.setEncoding('utf8')
      .on('data', (text: string) => (stderr = (stderr + text).slice(-8_000)));
    if (this.#process.stdout)
      createInterface({ input: this.#process.stdout }).on('line', (line) => this.#onLine(line));
    this.ended = new Promise((resolve) => {
      // A command that cannot start ends without a status, and without a line.
      this.#process.once('error', (error) => (stderr += error.message));
      this.#process.once('close', (status) => {
        clearTimeout(timer);
        running.delete(this);
        void this.#leftovers().then((leftovers) =>
          resolve({ status, events: this.events, stderr, leftovers }),
        );
      });
    });
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  get over(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null;
  }

  /** Called with each event from now on, until the returned function is called. */
  listen(listener: (event: Timed) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The next event that matches; undefined if the training ends before. */
  next(fits: (event: Timed) => boolean): Promise<Timed | undefined> {
    return new Promise((resolve) => {
      const stop = this.listen((event) => {
        if (!fits(event)) return;
        stop();
        resolve(event);
      });
      void this.ended.then(() => {
        stop();
        resolve(undefined);
      });
    });
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** Kills all processes, the launcher included. */
  killAll(): void {
    for (const pid of this.processes()) send(pid, 'SIGKILL');
  }

  /** The pids of all processes that are alive, the launcher's first. */
  processes(): number[] {
    return [this.pid, ...descendants(this.pid)];
  }

  #onLine(line: string): void {
    if (!line.startsWith('{')) return;
    const event: Timed = { ...(JSON.parse(line) as RunEvent), atMs: Date.now() };
    this.events.push(event);
    if (event.event === 'coordinator') this.coordinator = event.pid;
    if (event.event === 'worker' && event.state === 'joined')
      this.members = new Map(this.members).set(event.rank ?? -1, event.pid);
    if (event.event === 'generation')
      this.members = new Map(event.workers.map(({ rank, pid }) => [rank, pid]));
    if (event.event === 'step') this.step = event.step;
    if (event.event === 'worker' || event.event === 'coordinator') this.#remember(event.pid);
    for (const listener of this.#listeners) listener(event);
  }

  /** A later event about a process that has ended does not replace its start time by that of another process with its PID. */
  #remember(pid: number): void {
    const start = startOf(pid);
    if (start !== undefined && descendants(this.pid).includes(pid)) this.#everyone.set(pid, start);
  }

  async #leftovers(): Promise<string[]> {
    // Processes whose launcher was killed end shortly after it.
    const deadlineMs = performance.now() + 15_000;
    let alive: number[] = [];
    do {
      alive = survivors(this.#everyone);
      if (alive.length > 0) await new Promise((resolve) => setTimeout(resolve, 50));
    } while (alive.length > 0 && performance.now() < deadlineMs);
    const left = alive.map((pid) => `process ${pid}`);
    for (const pid of alive) send(pid, 'SIGKILL');
    return [...left, ...readdirSync(this.#sockets).map((name) => `socket folder ${name}`)];
  }
}

const running = new Set<Training>();

/** Ends all running trainings; for an interrupted command. */
export function endTrainings(): void {
  for (const training of running) training.killAll();
}

/** Sends a signal to a process; returns false if it has ended. */
export function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return pid > 0 && process.kill(pid, signal);
  } catch {
    return false;
  }
}

/** Returns the option that names the definition; a resumed run takes everything else from its checkpoint. */
export function definitionOf(options: readonly string[]): string[] {
  const at = options.indexOf('--config');
  return at < 0 ? [] : options.slice(at, at + 2);
}
