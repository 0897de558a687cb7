/** Writes a run's events for TensorBoard: scalars over steps, histograms, the model's graph, and the hyperparameters. */

import { bucketLimits, type NamedHistogram } from '../shared/runs/histogram.js';
import type { TimedEvent } from '../shared/runs/run-events.js';
import { EventFile, encodeGraph, type EventFileOptions, type SummaryValue } from './event-file.js';
import { HyperparameterFile } from './hyperparameter-file.js';
import { graphOf } from './model-graph.js';
import { SplitComparison } from './split-comparison.js';

/** Status value of TensorFlow's SessionLog. */
const sessionStart = 1;

export class TensorboardLog {
  readonly #file: EventFile;
  readonly #comparison: SplitComparison;
  readonly #hyperparameters: HyperparameterFile;
  #hasGraph = false;

  /** @throws ConfigError if the folder cannot be written */
  constructor(options: EventFileOptions) {
    this.#file = new EventFile(options);
    this.#comparison = new SplitComparison(options);
    this.#hyperparameters = new HyperparameterFile(options);
  }

  get path(): string {
    return this.#file.path;
  }

  emit(event: TimedEvent): void {
    const { timeMs } = event;
    this.#comparison.emit(event);
    this.#hyperparameters.emit(event);
    if (event.event === 'step') {
      const { loss, learningRate, imagesPerSecond } = event;
      this.#scalars(event, {
        'train/loss': loss,
        'train/learning_rate': learningRate,
        'train/images_per_second': imagesPerSecond,
      });
    } else if (event.event === 'eval') {
      const { split, loss, metrics } = event;
      const means = Object.entries({ loss, ...metrics });
      this.#scalars(
        event,
        Object.fromEntries(means.map(([name, value]) => [`evaluation/${split}_${name}`, value])),
      );
    } else if (event.event === 'scalars') {
      this.#scalars(event, event.values);
    } else if (event.event === 'histograms') {
      this.#summary(event, event.histograms.map(histogramValue));
    } else if (event.event === 'model' && !this.#hasGraph) {
      // Another rank 0 sends the graph again, and a reader warns about two.
      this.#hasGraph = true;
      this.#file.write(timeMs, 0, { graphDef: encodeGraph(graphOf(event.layers)) }, { essential: true });
    } else if (event.event === 'resumed') {
      // The steps after it are repeated, so a reader must drop its values for them.
      this.#file.write(timeMs, event.step + 1, { sessionLog: { status: sessionStart } }, { essential: true });
    }
  }

  /** Resolves when everything is written, or after a bounded time. */
  async close(): Promise<void> {
    await Promise.all([this.#file.close(), this.#comparison.close(), this.#hyperparameters.close()]);
  }

  #scalars(at: { timeMs: number; step: number }, values: Readonly<Record<string, number>>): void {
    this.#summary(
      at,
      Object.entries(values).map(([tag, simpleValue]) => ({ tag, simpleValue })),
    );
  }

  #summary({ timeMs, step }: { timeMs: number; step: number }, value: readonly SummaryValue[]): void {
    this.#file.write(timeMs, step, { summary: { value } });
  }
}

function histogramValue({ kind, name, histogram }: NamedHistogram): SummaryValue {
  const { min, max, count, sum, sumOfSquares, buckets } = histogram;
  return {
    tag: `${kind}/${name}`,
    histo: {
      min,
      max,
      num: count,
      sum,
      sumSquares: sumOfSquares,
      bucketLimit: bucketLimits(histogram),
      bucket: buckets,
    },
  };
}
