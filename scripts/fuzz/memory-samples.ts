/** Samples the resident memory of processes and decides if it grows. */

import { holdings } from '../../src/chaos/processes.js';
import { median } from '../../src/shared/arithmetic/quantile.js';

/** V8's heap and malloc's arenas vary; only an increase beyond both bounds is growth. */
const allowedMb = 32;
const allowedFraction = 0.1;

export interface MemoryGrowth {
  readonly role: string;
  /** Median resident memory of each quarter of the samples; NaN for a quarter without samples. */
  readonly megabytes: readonly number[];
  readonly grew: boolean;
}

export class MemorySamples {
  readonly #pids: ReadonlyMap<string, number>;
  readonly #samples = new Map<string, number[]>();

  /** @param pids process id of each role */
  constructor(pids: ReadonlyMap<string, number>) {
    this.#pids = pids;
    for (const role of pids.keys()) this.#samples.set(role, []);
  }

  sample(): void {
    for (const [role, pid] of this.#pids) {
      const held = holdings(pid);
      if (held) this.#samples.get(role)?.push(held.residentMb);
    }
  }

  growth(): MemoryGrowth[] {
    return [...this.#samples].map(([role, samples]) => {
      const quarter = Math.ceil(samples.length / 4);
      const megabytes = [0, 1, 2, 3].map((i) => median(samples.slice(i * quarter, (i + 1) * quarter)));
      // The first quarter contains one-time allocations. A leak grows by the same amount in each of the others.
      const [, second = 0, third = 0, last = 0] = megabytes;
      const bound = Math.max(allowedMb, second * allowedFraction);
      return { role, megabytes, grew: last - second > bound && last - third > bound / 4 };
    });
  }
}
