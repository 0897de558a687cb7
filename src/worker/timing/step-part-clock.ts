/**
 * Measures the time of each part of a step on the main thread. Always on: it reads the clock twice per measured interval and keeps one
 * sum per part. The time of a nested interval counts for the inner interval only.
 */

import type { SpanKind } from '../../shared/timeline/spans.js';
import { noTimes, type PartTimes, type StepPart } from '../../shared/timeline/step-parts.js';
import type { Measure } from './tracer.js';

const partOf = (kind: SpanKind): StepPart => (kind === 'step' || kind === 'collective' ? 'other' : kind);

export class StepPartClock {
  readonly #now: () => number;
  #times = noTimes();
  #part: StepPart = 'other';
  #sinceMs = 0;
  #inStep = false;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  readonly measure: Measure = (kind, _name, work) => {
    if (!this.#inStep) return work();
    const outer = this.#part;
    this.#switchTo(partOf(kind));
    try {
      return work();
    } finally {
      this.#switchTo(outer);
    }
  };

  /** Runs one step. Afterwards `times` are those of this step. */
  step<T>(work: () => T): T {
    this.#times = noTimes();
    this.#part = 'other';
    this.#sinceMs = this.#now();
    this.#inStep = true;
    try {
      return work();
    } finally {
      this.#switchTo('other');
      this.#inStep = false;
    }
  }

  /** Milliseconds per part of the last step. */
  get times(): PartTimes {
    return this.#times;
  }

  #switchTo(part: StepPart): void {
    const nowMs = this.#now();
    this.#times[this.#part] += Math.max(0, nowMs - this.#sinceMs);
    this.#part = part;
    this.#sinceMs = nowMs;
  }
}
