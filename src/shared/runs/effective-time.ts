/**
 * The effective training time ratio (ETTR) of a run: the share of its wall time that it spent in committed steps. The term is that of
 * Kokolis et al., "Revisiting Reliability in Large-Scale Machine Learning Research Clusters" (2024): productive runtime divided by
 * available wall time. docs/recovery.md defines both for Lockstep.
 */

import type { TimedEvent } from './run-events.js';

export class EffectiveTime {
  /** Start of the first committed step; undefined before it is committed. */
  #startMs: number | undefined;
  /** End of the last committed step. */
  #lastMs = 0;
  #committedMs = 0;
  #lastStep = 0;
  /** Wall time before `#lastMs` that counts on neither side: evaluations, and time in which the run was stopped. */
  #excludedMs = 0;
  /** The same after `#lastMs`; it counts only if a step follows. */
  #pendingMs = 0;
  /** The time since which the run has trained or evaluated without a break. */
  #markMs = 0;
  /** A coordinator has taken over, and the workers continue the generation of its predecessor. */
  #takenOver = false;
  /** The time of the event that ended the run. */
  #endedMs: number | undefined;

  /** Adds the next event of the run. Events of logs from before events had a time (time 0) are ignored. */
  note(event: TimedEvent): void {
    const { timeMs } = event;
    if (timeMs === 0) return;
    switch (event.event) {
      case 'step':
        this.#onStep(event);
        break;
      case 'eval':
        // A repeated evaluation is lost time, as a repeated step is.
        if (event.step >= this.#lastStep) this.#pendingMs += Math.max(0, timeMs - this.#markMs);
        this.#markMs = timeMs;
        break;
      case 'start':
      case 'generation':
        this.#markMs = timeMs;
        this.#takenOver = false;
        break;
      case 'coordinator':
        this.#takenOver = this.#startMs !== undefined;
        break;
      case 'done':
      case 'error':
        this.#endedMs = timeMs;
        break;
      case 'run':
        if (this.#endedMs !== undefined) this.#pendingMs += Math.max(0, timeMs - this.#endedMs);
        this.#endedMs = undefined;
        break;
      default:
        break;
    }
  }

  /** Seconds of committed steps; a step that was repeated counts once. */
  get committedSeconds(): number {
    return this.#committedMs / 1000;
  }

  /** Seconds from the start of the first committed step to the end of the last one, without evaluations and stops. */
  get wallSeconds(): number {
    return this.#startMs === undefined ? 0 : (this.#lastMs - this.#startMs - this.#excludedMs) / 1000;
  }

  /** From 0 to 1; null before the first committed step. */
  get ratio(): number | null {
    const wallSeconds = this.wallSeconds;
    return wallSeconds > 0 ? Math.min(1, this.committedSeconds / wallSeconds) : null;
  }

  #onStep({ step, seconds, timeMs }: Extract<TimedEvent, { event: 'step' }>): void {
    if (this.#startMs === undefined) {
      this.#startMs = timeMs - seconds * 1000;
      this.#pendingMs = 0;
    }
    if (step > this.#lastStep) {
      this.#lastStep = step;
      // The workers have trained without a coordinator, and report the steps of this time all at once.
      this.#committedMs += this.#takenOver ? Math.max(timeMs - this.#markMs, seconds * 1000) : seconds * 1000;
      this.#takenOver = false;
    }
    this.#excludedMs += this.#pendingMs;
    this.#pendingMs = 0;
    this.#lastMs = timeMs;
    this.#markMs = timeMs;
  }
}

/** Formats the ratio as a percentage with one decimal; rounds down, so that a value below a limit is not shown as the limit. */
export const formatRatio = (ratio: number | null): string =>
  ratio === null ? '–' : `${(Math.floor(ratio * 1000) / 10).toFixed(1)} %`;
