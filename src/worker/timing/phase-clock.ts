/**
 * Where a step's milliseconds go on the main thread, always on: two readings of the clock a measured stretch, nothing kept
 * but one sum a part. Time inside a stretch that is inside another one counts for the inner one alone.
 */

import type { SpanKind } from '../../shared/timeline/spans.js';
import { noTimes, type PartTimes, type StepPart } from '../../shared/timeline/step-parts.js';
import type { Measure } from './tracer.js';

const partOf = (kind: SpanKind): StepPart => (kind === 'step' || kind === 'collective' ? 'other' : kind);

export class PhaseClock {
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
    this.#turn(partOf(kind));
    try {
      return work();
    } finally {
      this.#turn(outer);
    }
  };

  /** Does one step's work; `times` are then its own. */
  step<T>(work: () => T): T {
    this.#times = noTimes();
    this.#part = 'other';
    this.#sinceMs = this.#now();
    this.#inStep = true;
    try {
      return work();
    } finally {
      this.#turn('other');
      this.#inStep = false;
    }
  }

  /** Of the last step. */
  get times(): PartTimes {
    return this.#times;
  }

  #turn(part: StepPart): void {
    const nowMs = this.#now();
    this.#times[this.#part] += Math.max(0, nowMs - this.#sinceMs);
    this.#part = part;
    this.#sinceMs = nowMs;
  }
}
