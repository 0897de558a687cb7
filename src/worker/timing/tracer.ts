/**
 * The main thread's part of the time line: measures, keeps and sends spans, some steps' together. Without `--trace` there is
 * no tracer, and `unmeasured` stands in its place.
 */

import { maxSpans, nowUs, tracedSteps, type Span, type SpanKind } from '../../shared/timeline/spans.js';
import type { CollectiveRegistrar } from '../communicator/communicator.js';

/** Does `work`; where there is a time line, its duration is on it. */
export type Measure = <T>(kind: SpanKind, name: string, work: () => T) => T;

export const unmeasured: Measure = (_kind, _name, work) => work();

/** Collectives that end a step; the others are in its middle, for BatchNorm. */
const summed = /^(gradients\/\d+|loss|evaluation)$/;

const stepsTogether = 8;

export class Tracer {
  readonly #send: (spans: Span[]) => void;
  #spans: Span[] = [];
  #step = 0;
  #steps = 0;
  #inStep = false;

  constructor(send: (spans: Span[]) => void) {
    this.#send = send;
  }

  readonly measure: Measure = (kind, name, work) => {
    if (!this.#inStep) return work();
    const startUs = nowUs();
    try {
      return work();
    } finally {
      this.#spans.push({ kind, name, step: this.#step, startUs, durationUs: nowUs() - startUs });
    }
  };

  /** One whole step; whatever is measured meanwhile belongs to it, and nothing else is recorded. */
  step<T>(step: number, work: () => T): T {
    this.#step = step;
    this.#inStep = this.#steps++ < tracedSteps;
    try {
      return this.measure('step', `step ${step}`, work);
    } finally {
      this.#inStep = false;
      if (this.#steps % stepsTogether === 0) this.flush();
    }
  }

  flush(): void {
    for (let start = 0; start < this.#spans.length; start += maxSpans) {
      this.#send(this.#spans.slice(start, start + maxSpans));
    }
    this.#spans = [];
  }
}

/** Decorates a registrar: the time that each collective's `wait` takes is measured. */
export function measuringWaits(registrar: CollectiveRegistrar, measure: Measure): CollectiveRegistrar {
  return {
    allocate: (elementCount) => registrar.allocate(elementCount),
    tick: () => registrar.tick(),
    register: (spec, within) => {
      const handle = registrar.register(spec, within);
      const kind = summed.test(spec.name) ? 'waitGradients' : 'waitBatchNorm';
      return { ...handle, wait: () => measure(kind, spec.name, () => handle.wait()) };
    },
  };
}
