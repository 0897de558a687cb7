/** Summarizes each epoch in one line, with the names that Keras and tfjs print. */

import type { RunEvent } from '../../shared/runs/run-events.js';
import { formatDuration } from './duration.js';

type EventOf<Name extends RunEvent['event']> = Extract<RunEvent, { event: Name }>;

interface Epoch {
  readonly epoch: number;
  readonly steps: number;
  readonly seconds: number;
  /** Sum of the losses of the steps. */
  readonly total: number;
}

export class EpochSummary {
  #epochs = 1;
  #stepsPerEpoch = 1;
  #evaluates = true;
  #current: Epoch = { epoch: 0, steps: 0, seconds: 0, total: 0 };
  /** The step after which an epoch has ended whose line is still to come. */
  #endedAt: number | undefined;

  /**
   * Returns the line of an epoch once its results are there: with the evaluation of its last step, or with the first event after which
   * no such evaluation can follow.
   */
  next(event: RunEvent): string | undefined {
    switch (event.event) {
      case 'run':
        this.#evaluates = event.config.evaluate !== 'none';
        return undefined;
      case 'start':
        [this.#epochs, this.#stepsPerEpoch] = [event.epochs, event.stepsPerEpoch];
        return undefined;
      case 'step':
        return this.#step(event);
      case 'eval':
        return event.split === 'test' && event.step === this.#endedAt ? this.#line(event) : undefined;
      case 'saved':
      case 'done':
      case 'error':
        return this.#line();
      default:
        return undefined;
    }
  }

  #step({ epoch, step, loss, seconds }: EventOf<'step'>): string | undefined {
    const late = this.#line();
    const before = this.#current.epoch === epoch ? this.#current : { steps: 0, seconds: 0, total: 0 };
    this.#current = {
      epoch,
      steps: before.steps + 1,
      seconds: before.seconds + seconds,
      total: before.total + loss,
    };
    if (step % this.#stepsPerEpoch !== 0) return late;
    this.#endedAt = step;
    return this.#evaluates ? late : this.#line();
  }

  #line(evaluation?: EventOf<'eval'>): string | undefined {
    if (this.#endedAt === undefined) return undefined;
    this.#endedAt = undefined;
    const { epoch, steps, seconds, total } = this.#current;
    const milliseconds = (1000 * seconds) / steps;
    const values = evaluation ? Object.entries({ loss: evaluation.loss, ...evaluation.metrics }) : [];
    return [
      `Epoch ${epoch}/${this.#epochs}`,
      `${steps} ${steps === 1 ? 'step' : 'steps'} in ${formatDuration(seconds)}`,
      `${Number(milliseconds.toPrecision(3))} ms/step`,
      `loss: ${(total / steps).toFixed(4)}`,
      ...values.map(([name, value]) => `val_${name}: ${value.toFixed(4)}`),
    ].join(' - ');
  }
}
