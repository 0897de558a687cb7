/**
 * With `--tensorboard` or `--histogram-every`: how weights and gradients are spread, after some steps. Reads what lies there
 * after the update and changes nothing; between those steps it costs one comparison.
 */

import { endsWith, parseInterval } from '../../shared/config/interval.js';
import { histogramOf, maxHistograms, type NamedHistogram } from '../../shared/runs/histogram.js';
import type { Layout } from '../../shared/model/layout.js';
import type { FlatParameter } from '../executor/gradient-buckets.js';

export interface HistogramsOptions {
  /** An interval in steps or epochs. */
  readonly every: string;
  readonly stepsPerEpoch: number;
  readonly layout: Layout;
  /** Where each gradient lies in the flat one. */
  readonly parameters: readonly FlatParameter[];
  /** Every weight's values, in layout order. */
  readonly weights: () => readonly Float32Array[];
  readonly send: (step: number, histograms: NamedHistogram[]) => void;
}

export class Histograms {
  readonly #options: HistogramsOptions;
  readonly #every: ReturnType<typeof parseInterval>;

  constructor(options: HistogramsOptions) {
    this.#options = options;
    this.#every = parseInterval(options.every);
  }

  /** @param gradient of the global mean loss, flat, before the update scales it */
  after(step: number, gradient: Float32Array): void {
    const { stepsPerEpoch, layout, parameters, weights, send } = this.#options;
    if (!endsWith(this.#every, step, stepsPerEpoch)) return;
    const named = (kind: NamedHistogram['kind'], weight: number, values: Float32Array): NamedHistogram => ({
      kind,
      name: (layout[weight]?.name ?? String(weight)).slice(0, 256),
      histogram: histogramOf(values),
    });
    const all = [
      ...weights().map((values, weight) => named('weights', weight, values)),
      ...parameters.map(({ weight, offset, size }) =>
        named('gradients', weight, gradient.subarray(offset, offset + size)),
      ),
    ];
    for (let at = 0; at < all.length; at += maxHistograms) send(step, all.slice(at, at + maxHistograms));
  }
}
