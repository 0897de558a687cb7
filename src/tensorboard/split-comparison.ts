/**
 * Writes loss and metrics of training and of validation to two folders with equal names, `train/` and `validation/`, so that TensorBoard
 * draws both into one chart as for Keras. A point of training is the mean since the evaluation before it.
 */

import { join } from 'node:path';
import type { TimedEvent } from '../shared/runs/run-events.js';
import { EventFile, type EventFileOptions } from './event-file.js';

type Split = 'train' | 'validation';
type EventOf<Name extends TimedEvent['event']> = Extract<TimedEvent, { event: Name }>;

export class SplitComparison {
  readonly #options: EventFileOptions;
  readonly #files = new Map<Split, EventFile | undefined>();
  /** Sums over the samples since the last point, and their number, by name. */
  #sums = new Map<string, { total: number; samples: number }>();

  constructor(options: EventFileOptions) {
    this.#options = options;
  }

  emit(event: TimedEvent): void {
    if (event.event === 'step') this.#addStep(event);
    else if (event.event === 'resumed') this.#sums = new Map();
    else if (event.event === 'eval' && event.split === 'test') {
      this.#writeTraining(event);
      this.#write('validation', event, { loss: event.loss, ...event.metrics });
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#files.values()].flatMap((file) => (file ? [file.close()] : [])));
  }

  #addStep({ loss, metrics, samples }: EventOf<'step'>): void {
    for (const [name, value] of Object.entries({ loss, ...metrics })) {
      const before = this.#sums.get(name) ?? { total: 0, samples: 0 };
      this.#sums.set(name, { total: before.total + value * samples, samples: before.samples + samples });
    }
  }

  #writeTraining(at: { readonly timeMs: number; readonly step: number }): void {
    const means = [...this.#sums].map(([name, { total, samples }]) => [name, total / samples] as const);
    this.#sums = new Map();
    if (means.length > 0) this.#write('train', at, Object.fromEntries(means));
  }

  #write(
    split: Split,
    { timeMs, step }: { readonly timeMs: number; readonly step: number },
    values: Readonly<Record<string, number>>,
  ): void {
    const value = Object.entries(values).map(([tag, simpleValue]) => ({ tag, simpleValue }));
    this.#fileOf(split)?.write(timeMs, step, { summary: { value } });
  }

  /** A folder that cannot be written is reported once; the run goes on. */
  #fileOf(split: Split): EventFile | undefined {
    if (!this.#files.has(split)) {
      try {
        const directory = join(this.#options.directory, split);
        this.#files.set(split, new EventFile({ ...this.#options, directory }));
      } catch (error) {
        this.#files.set(split, undefined);
        this.#options.notify(error instanceof Error ? error.message : String(error));
      }
    }
    return this.#files.get(split);
  }
}
