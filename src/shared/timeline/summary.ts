/**
 * Breaks the time of a step down by kind: the self time of each span (its duration without the spans nested in it), summed per step,
 * and the median over the steps. Collectives in flight overlap with the main thread's work and are not part of the sum.
 */

import { median } from '../arithmetic/quantile.js';
import type { Span } from './spans.js';
import { stepParts, type PartTimes, type StepPart } from './step-parts.js';

/** Steps left out at the start if there are enough: memory is still being allocated and code compiled. */
const warmUp = 20;

export interface StepTimes {
  /** Median duration of a step in milliseconds. */
  readonly step: number;
  /** Medians of the parts in milliseconds; their sum may differ from the median of the step. */
  readonly parts: PartTimes;
  /** Summed time in milliseconds of a step's collectives in flight; exceeds the waiting time where they overlap with work. */
  readonly inFlight: number;
  readonly steps: number;
}

export class TimelineSummary {
  readonly #steps = new Map<number, Record<StepPart | 'step' | 'inFlight', number>>();

  /** Adds spans of one worker: those of a step together, each after the spans nested in it. */
  add(spans: readonly Span[]): void {
    /** Spans whose enclosing span has not been seen yet. */
    const inner: { start: number; end: number }[] = [];
    for (const { kind, step, startUs, durationUs } of spans) {
      const times = this.#of(step);
      if (kind === 'collective') {
        times.inFlight += durationUs / 1_000;
        continue;
      }
      let own = durationUs;
      for (let last = inner.at(-1); last && last.start >= startUs; last = inner.at(-1)) {
        own -= last.end - last.start;
        inner.pop();
      }
      inner.push({ start: startUs, end: startUs + durationUs });
      times[kind === 'step' ? 'other' : kind] += own / 1_000;
      if (kind === 'step') {
        times.step += durationUs / 1_000;
        inner.length = 0;
      }
    }
  }

  /** Returns undefined until a step is complete. */
  times(): StepTimes | undefined {
    const complete = [...this.#steps.values()].filter(({ step }) => step > 0);
    const kept = complete.length > 2 * warmUp ? complete.slice(warmUp) : complete;
    if (kept.length === 0) return undefined;
    const of = (name: StepPart | 'step' | 'inFlight'): number => median(kept.map((times) => times[name]));
    const parts = Object.fromEntries(stepParts.map((part) => [part, of(part)])) as Record<StepPart, number>;
    return { step: of('step'), parts, inFlight: of('inFlight'), steps: kept.length };
  }

  #of(step: number): Record<StepPart | 'step' | 'inFlight', number> {
    const held = this.#steps.get(step);
    if (held) return held;
    const none = Object.fromEntries(stepParts.map((part) => [part, 0])) as Record<StepPart, number>;
    const made = { ...none, step: 0, inFlight: 0 };
    this.#steps.set(step, made);
    return made;
  }
}
