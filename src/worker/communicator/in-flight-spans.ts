/** Records timeline spans of collectives, from `start` to the end of the round, and sends them in batches. */

import { nowUs, tracedSteps, type Span } from '../../shared/timeline/spans.js';

const batchSize = 256;

export class InFlightSpans {
  readonly #send: (spans: Span[]) => void;
  readonly #started = new Map<number, { step: number; startUs: number }>();
  #lastStep = Number.POSITIVE_INFINITY;
  #spans: Span[] = [];

  constructor(send: (spans: Span[]) => void) {
    this.#send = send;
  }

  /** Notes the start of a round. Rounds after the last traced step are ignored. */
  started(id: number, step: number): void {
    if (this.#lastStep === Number.POSITIVE_INFINITY) this.#lastStep = step + tracedSteps - 1;
    if (step <= this.#lastStep) this.#started.set(id, { step, startUs: nowUs() });
  }

  finished(id: number, name: string): void {
    const started = this.#started.get(id);
    if (!started) return;
    this.#started.delete(id);
    this.#spans.push({ kind: 'collective', name, ...started, durationUs: nowUs() - started.startUs });
    if (this.#spans.length >= batchSize) this.flush();
  }

  flush(): void {
    if (this.#spans.length > 0) this.#send(this.#spans);
    this.#spans = [];
  }
}
