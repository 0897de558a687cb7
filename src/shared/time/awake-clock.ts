/**
 * Time without the periods in which this process did not run: it was stopped (Ctrl-Z), its container or its machine was paused, or its
 * event loop was blocked. In these periods the process has read no message, so they must not count as the silence of others. A period is
 * noticed as a gap between two of the process's own timer ticks.
 */

const tickMs = 250;

export class AwakeClock {
  readonly #maxGapMs: number;
  readonly #raw: () => number;
  #lastMs: number;
  #missedMs = 0;

  /**
   * @param maxGapMs a longer gap between two calls of `now` is left out; longer than the caller's timer interval
   * @param raw a monotonic clock in milliseconds
   */
  constructor(maxGapMs = 1_000, raw: () => number = () => performance.now()) {
    this.#maxGapMs = maxGapMs;
    this.#raw = raw;
    this.#lastMs = raw();
  }

  /** Milliseconds. Must be called at regular intervals. */
  now(): number {
    const rawMs = this.#raw();
    const gapMs = rawMs - this.#lastMs;
    this.#lastMs = rawMs;
    if (gapMs > this.#maxGapMs) this.#missedMs += gapMs;
    return rawMs - this.#missedMs;
  }
}

/** Calls `onTimeout` once after this process has run for `timeoutMs`, and returns a function that cancels it. */
export function awakeTimeout(timeoutMs: number, onTimeout: () => void): () => void {
  let leftMs = timeoutMs;
  const stepMs = Math.min(tickMs, Math.max(timeoutMs, 1));
  // A timer that was due several times while the process was stopped fires once.
  const timer = setInterval(() => {
    leftMs -= stepMs;
    if (leftMs > 0) return;
    clearInterval(timer);
    onTimeout();
  }, stepMs);
  return () => clearInterval(timer);
}
