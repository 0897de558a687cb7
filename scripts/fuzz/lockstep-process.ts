/** A Lockstep command that runs as a child process and whose events are collected. */

import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { collectVariable } from '../../src/shared/memory/garbage-collection.js';
import type { RunEvent } from '../../src/shared/runs/run-events.js';

const main = 'dist/cli/main.js';

export class LockstepProcess {
  readonly #process: ChildProcess;
  readonly events: RunEvent[] = [];
  /** Exit status; null if a signal ended the process. */
  readonly ended: Promise<number | null>;

  constructor(args: readonly string[]) {
    this.#process = spawn(process.execPath, [main, ...args], {
      stdio: ['ignore', 'pipe', 'ignore'],
      // Frequent garbage collection keeps unreachable memory out of the measurement.
      env: { ...process.env, [collectVariable]: '2000' },
    });
    if (this.#process.stdout)
      createInterface({ input: this.#process.stdout }).on('line', (line) => {
        if (line.startsWith('{')) this.events.push(JSON.parse(line) as RunEvent);
      });
    this.ended = new Promise((resolve) => this.#process.once('close', resolve));
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  get hasEnded(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null;
  }

  /** Hash of the final weights; an empty string if the run did not finish. */
  get weightsSha256(): string {
    return this.events.findLast((event) => event.event === 'done')?.weightsSha256 ?? '';
  }

  /**
   * Waits for an event.
   * @throws Error if the process ends before it
   */
  async waitForEvent(name: RunEvent['event']): Promise<void> {
    while (!this.hasEnded && !this.events.some(({ event }) => event === name)) await pause(20);
    if (this.hasEnded)
      throw new Error(
        `lockstep: expected the event "${name}", got exit status ${String(await this.ended)} before it.`,
      );
  }

  kill(): void {
    this.#process.kill('SIGKILL');
  }
}
