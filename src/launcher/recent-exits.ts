/** Tells a process that ends again and again from one that ends now and then: only what was lately counts. */

const windowMs = 60_000;

export class RecentEnds {
  readonly #now: () => number;
  #atMs: number[] = [];

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Counts one more; how many there were within a minute. */
  add(): number {
    const nowMs = this.#now();
    this.#atMs = [...this.#atMs.filter((atMs) => nowMs - atMs < windowMs), nowMs];
    return this.#atMs.length;
  }
}
