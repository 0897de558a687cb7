/** For the time line: when each collective was in flight. Sends spans some at a time. */

import { nowUs, tracedSteps, type Span } from '../../shared/timeline/spans.js';

const spansTogether = 256;

export class Flights {
  readonly #send: (spans: Span[]) => void;
  readonly #started = new Map<number, { step: number; startUs: number }>();
  #lastStep = Number.POSITIVE_INFINITY;
  #spans: Span[] = [];

  constructor(send: (spans: Span[]) => void) {
    this.#send = send;
  }

  started(id: number, step: number): void {
    if (this.#lastStep === Number.POSITIVE_INFINITY) this.#lastStep = step + tracedSteps - 1;
    if (step <= this.#lastStep) this.#started.set(id, { step, startUs: nowUs() });
  }

  landed(id: number, name: string): void {
    const flight = this.#started.get(id);
    if (!flight) return;
    this.#started.delete(id);
    this.#spans.push({ kind: 'collective', name, ...flight, durationUs: nowUs() - flight.startUs });
    if (this.#spans.length >= spansTogether) this.flush();
  }

  flush(): void {
    if (this.#spans.length > 0) this.#send(this.#spans);
    this.#spans = [];
  }
}
