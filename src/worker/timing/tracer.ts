/**
 * The main thread's part of the timeline (`--trace`): measures spans and sends those of several steps in one message. Without
 * `--trace` there is no tracer.
 */

import { maxSpans, nowUs, tracedSteps, type Span, type SpanKind } from '../../shared/timeline/spans.js';
import type { CollectiveRegistrar } from '../communicator/communicator.js';

/** Runs `work`, returns its result and measures its duration. */
export type Measure = <T>(kind: SpanKind, name: string, work: () => T) => T;

export const unmeasured: Measure = (_kind, _name, work) => work();

/** Names of the collectives at the end of a step; all others are BatchNorm's, within the step. */
const endOfStep = /^(gradients\/\d+|loss|evaluation)$/;

const stepsPerMessage = 8;

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

  /** Runs one step. Only spans within a step are recorded, and only those of the first `tracedSteps` steps. */
  step<T>(step: number, work: () => T): T {
    this.#step = step;
    this.#inStep = this.#steps++ < tracedSteps;
    try {
      return this.measure('step', `step ${step}`, work);
    } finally {
      this.#inStep = false;
      if (this.#steps % stepsPerMessage === 0) this.flush();
    }
  }

  /** Sends all recorded spans, at most `maxSpans` per message. */
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
      const kind = endOfStep.test(spec.name) ? 'waitGradients' : 'waitBatchNorm';
      return { ...handle, wait: () => measure(kind, spec.name, () => handle.wait()) };
    },
  };
}
