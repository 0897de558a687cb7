/**
 * What `--balance speed` wins when one of two workers is slower: `npm run bench:balance -- [pairs] [steps] [part]`. The slower one is
 * stopped for so big a part of each 40 ms (SIGSTOP, as a container's quota would; 0.5: twice as slow), from its first step to
 * the end. Pairs of runs with and without, each pair in the opposite order of the one before; images a second over the second half
 * of the steps, when the shards have been dealt.
 */
import type { RunEvent } from '../src/shared/runs/run-events.js';
import { median } from '../src/shared/arithmetic/quantile.js';
import { imagesPerSecond, machineLine } from './measure.js';

const [pairs = 3, steps = 160, part = 0.5] = process.argv.slice(2).map(Number);
const periodMs = 40;

/** Slows the worker of rank 1 down from the first step on. */
class Throttle {
  #pid = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  readonly dealings: string[] = [];

  see(event: RunEvent): void {
    if (event.event === 'worker' && event.rank === 1) this.#pid = event.pid;
    if (event.event === 'step') this.#timer ??= setTimeout(() => this.#turn());
    if (event.event === 'step' && event.step === steps) this.end();
    if (event.event !== 'generation') return;
    this.dealings.push(event.workers.map(({ shards: { start, end } }) => end - start).join('+'));
  }

  end(): void {
    clearTimeout(this.#timer);
    if (this.#stopped) process.kill(this.#pid, 'SIGCONT');
    this.#stopped = false;
    this.#pid = 0;
  }

  #turn(): void {
    if (this.#pid === 0 || part === 0) return;
    this.#stopped = !this.#stopped;
    process.kill(this.#pid, this.#stopped ? 'SIGSTOP' : 'SIGCONT');
    this.#timer = setTimeout(() => this.#turn(), periodMs * (this.#stopped ? part : 1 - part));
  }
}

async function measure(balance: 'off' | 'speed'): Promise<number> {
  const throttle = new Throttle();
  try {
    const rate = await imagesPerSecond({
      options: ['--workers', 2, '--shards', 16, '--batch-size', 128, '--balance', balance],
      ...{ steps, warmUp: steps / 2, onEvent: (event: RunEvent) => throttle.see(event) },
    });
    console.log(`${balance}: ${rate.toFixed(0)} images/s ${throttle.dealings.join(', ')}`);
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
  `${machineLine()}, 2 workers, batch 128, 16 shards, one worker stopped ${100 * part} % of the time: ` +
    `--balance speed ${median(ratios).toFixed(2)}x (${ratios.map((ratio) => ratio.toFixed(2)).join(', ')})`,
);
