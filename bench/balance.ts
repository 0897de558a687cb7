/**
 * Measures the speedup of `--balance speed` when one of two workers is slow: `npm run bench:balance -- [pairs] [steps] [fraction]`.
 *
 * The slow worker is stopped for this fraction of every 40 ms from its first step to its last (SIGSTOP, as a container's CPU quota
 * does; at 0.5 it runs at half speed). Runs with and without balancing form pairs, each in the opposite order of the previous one.
 * The rate is images per second over the second half of the steps, after the shards have been reassigned.
 */
import type { RunEvent } from '../src/shared/runs/run-events.js';
import { median } from '../src/shared/arithmetic/quantile.js';
import { imagesPerSecond, machineLine } from './measure.js';

const [pairs = 3, steps = 160, stoppedFraction = 0.5] = process.argv.slice(2).map(Number);
const periodMs = 40;

/** Slows down the worker of rank 1 from the first step on. */
class Throttle {
  #pid = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  readonly assignments: string[] = [];

  onEvent(event: RunEvent): void {
    if (event.event === 'worker' && event.rank === 1) this.#pid = event.pid;
    if (event.event === 'step') this.#timer ??= setTimeout(() => this.#toggle());
    if (event.event === 'step' && event.step === steps) this.end();
    if (event.event !== 'generation') return;
    this.assignments.push(event.workers.map(({ shards: { start, end } }) => end - start).join('+'));
  }

  end(): void {
    clearTimeout(this.#timer);
    if (this.#stopped) process.kill(this.#pid, 'SIGCONT');
    this.#stopped = false;
    this.#pid = 0;
  }

  #toggle(): void {
    if (this.#pid === 0 || stoppedFraction === 0) return;
    this.#stopped = !this.#stopped;
    process.kill(this.#pid, this.#stopped ? 'SIGSTOP' : 'SIGCONT');
    this.#timer = setTimeout(
      () => this.#toggle(),
      periodMs * (this.#stopped ? stoppedFraction : 1 - stoppedFraction),
    );
  }
}

async function measure(balance: 'off' | 'speed'): Promise<number> {
  const throttle = new Throttle();
  try {
    const rate = await imagesPerSecond({
      options: ['--workers', 2, '--shards', 16, '--batch-size', 128, '--balance', balance],
      steps,
      warmUp: steps / 2,
      onEvent: (event: RunEvent) => throttle.onEvent(event),
    });
    console.log(`${balance}: ${rate.toFixed(0)} images/s ${throttle.assignments.join(', ')}`);
    return rate;
  } finally {
    throttle.end();
  }
}

const ratios: number[] = [];
for (let pair = 0; pair < pairs; pair++) {
  const order = pair % 2 === 0 ? (['off', 'speed'] as const) : (['speed', 'off'] as const);
  const rates = { off: 0, speed: 0 };
  for (const balance of order) rates[balance] = await measure(balance);
  ratios.push(rates.speed / rates.off);
}
console.log(
  `${machineLine()}, 2 workers, batch 128, 16 shards, one worker stopped ${100 * stoppedFraction} % of the time: ` +
    `--balance speed ${median(ratios).toFixed(2)}x (${ratios.map((ratio) => ratio.toFixed(2)).join(', ')})`,
);
