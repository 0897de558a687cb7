/** Counts the exits of a process within the last minute, so that a crash loop can be distinguished from occasional failures. */

const windowMs = 60_000;

export class RecentExits {
  readonly #now: () => number;
  #atMs: number[] = [];

  /** @param now clock in ms, replaceable in tests */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Counts one more exit and returns the number of exits within the last minute. */
  add(): number {
    const nowMs = this.#now();
    this.#atMs = [...this.#atMs.filter((atMs) => nowMs - atMs < windowMs), nowMs];
    return this.#atMs.length;
  }
}
