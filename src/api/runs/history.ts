/** The history of a run: one record per epoch, from the events of its log. */

import type { RunEvent, TimedEvent } from '../../shared/runs/run-events.js';

/** An evaluation of a run on one of its data sets. */
export type Evaluation = Extract<RunEvent, { event: 'eval' }>;

/** The result of one epoch. */
export interface EpochRecord {
  /** Counts from 1. */
  readonly epoch: number;
  /** Last step of the epoch so far, counted from the beginning of the run. */
  readonly step: number;
  /** Mean over the epoch's samples of the loss before each update. */
  readonly loss: number;
  /** Rate of the epoch's last step. */
  readonly learningRate: number;
  /** The last evaluation of the epoch on the test set; undefined without one. */
  readonly test?: Evaluation;
  /** The last evaluation of the epoch on the training set; undefined without one. */
  readonly train?: Evaluation;
}

/** Collects the events of a run. A run that continues from a checkpoint loses what came after the checkpoint's step. */
export class HistoryCollector {
  #steps: Extract<RunEvent, { event: 'step' }>[] = [];
  #evaluations: Evaluation[] = [];

  add(event: RunEvent | TimedEvent): void {
    if (event.event === 'step') {
      // A run that starts again in the same folder, or that repeats steps after all workers were lost.
      this.#cut(event.step - 1);
      this.#steps.push(event);
    } else if (event.event === 'eval') this.#evaluations.push(event);
    else if (event.event === 'resumed') this.#cut(event.step);
  }

  get evaluations(): readonly Evaluation[] {
    return this.#evaluations;
  }

  epochs(): EpochRecord[] {
    const sums = new Map<number, { total: number; samples: number; step: number; learningRate: number }>();
    for (const { epoch, step, loss, samples, learningRate } of this.#steps) {
      const before = sums.get(epoch) ?? { total: 0, samples: 0 };
      sums.set(epoch, {
        total: before.total + loss * samples,
        samples: before.samples + samples,
        step,
        learningRate,
      });
    }
    return [...sums].map(([epoch, { total, samples, step, learningRate }]): EpochRecord => {
      const last = (split: 'test' | 'train'): Evaluation | undefined =>
        this.#evaluations.findLast((one) => one.epoch === epoch && one.split === split);
      const [test, train] = [last('test'), last('train')];
      const results = { ...(test && { test }), ...(train && { train }) };
      return { epoch, step, loss: total / samples, learningRate, ...results };
    });
  }

  /** Removes what came after a step. */
  #cut(step: number): void {
    if ((this.#steps.at(-1)?.step ?? 0) <= step) return;
    this.#steps = this.#steps.filter((one) => one.step <= step);
    this.#evaluations = this.#evaluations.filter((one) => one.step <= step);
  }
}
