/**
 * The run of a soak: one command after the other with the same folder, because some faults end all processes of a run. Its events are
 * those of all commands in order.
 */

import { join } from 'node:path';
import { collectVariable } from '../shared/memory/garbage-collection.js';
import { statusOfStop } from '../shared/exit-status.js';
import { Training, type Timed } from './training-process.js';
import type { ChaosFault } from './scenario.js';

/** Interval of garbage collections: unreferenced memory must not count as held. */
const collectMs = 2_000;
/** The signal with which the soak ends the last command. */
const endSignal = 'SIGINT';

export class SoakRun {
  readonly #args: readonly string[];
  readonly #folder: string;
  readonly #timeoutMs: number;
  readonly #earlier: Timed[] = [];
  readonly problems: string[] = [];
  #number = 0;
  #training: Training;
  /** Milliseconds from the start of the first command to its first step. */
  restartMs = 0;

  /** @param folder contains the folder of each command's sockets */
  constructor(args: readonly string[], folder: string, timeoutMs: number) {
    this.#args = args;
    this.#folder = folder;
    this.#timeoutMs = timeoutMs;
    this.#training = this.#start();
  }

  get training(): Training {
    return this.#training;
  }

  get events(): readonly Timed[] {
    return [...this.#earlier, ...this.#training.events];
  }

  /** The folder of the present command's sockets. */
  get sockets(): string {
    return join(this.#folder, `s${this.#number}`);
  }

  async firstStep(): Promise<void> {
    const startMs = Date.now();
    await this.#training.next(({ event }) => event === 'step');
    this.restartMs ||= Date.now() - startMs;
  }

  /** Waits for the end of the command, which this fault has ended, and starts it again. Resolves with its first step. */
  async restart(kind: ChaosFault): Promise<void> {
    const { status, events, leftovers } = await this.#training.ended;
    const expected = kind === 'storm' ? statusOfStop('SIGTERM') : null;
    if (status !== expected)
      this.problems.push(`${kind}: ended with status ${status ?? 'none'} instead of ${expected ?? 'none'}`);
    // After SIGKILL of all processes their sockets are still there.
    if (kind === 'storm') this.problems.push(...leftovers.map((what) => `${kind} left behind: ${what}`));
    this.#earlier.push(...events);
    this.#number++;
    this.#training = this.#start();
    await this.firstStep();
  }

  /** Interrupts the run. Resolves with the step of its last checkpoint; 0: there is none. */
  async end(): Promise<number> {
    this.#training.signal(endSignal);
    const { status, leftovers } = await this.#training.ended;
    const expected = statusOfStop(endSignal);
    const { events } = this;
    if (status !== expected) {
      const error = events.findLast((event) => event.event === 'error')?.message ?? 'no error was given';
      this.problems.push(`ended with status ${status ?? 'none'} instead of ${expected}: ${error}`);
    }
    this.problems.push(...leftovers.map((what) => `left behind: ${what}`));
    return events.findLast((event) => event.event === 'checkpoint')?.step ?? 0;
  }

  #start(): Training {
    const collect = { [collectVariable]: String(collectMs) };
    return new Training(this.#args, this.sockets, this.#timeoutMs, collect);
  }
}
