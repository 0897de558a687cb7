/**
 * Histograms of weights and gradients at an interval (`--histogram-every`, and with `--tensorboard`). Reads values after the
 * update and changes nothing. A step without histograms costs one comparison.
 */

import { endsWith, parseInterval, type Interval } from '../../shared/config/interval.js';
import { shortName, type Layout } from '../../shared/model/layout.js';
import type { Plan } from '../../shared/protocol/messages.js';
import { histogramOf, maxHistograms, type NamedHistogram } from '../../shared/runs/histogram.js';
import type { Communicator } from '../communicator/communicator.js';
import type { FlatParameter } from '../executor/gradient-buckets.js';
import type { Replica } from './replica.js';
import { readWeights } from './weights.js';

const maxNameLength = 256;

export interface HistogramsOptions {
  /** An interval in steps or epochs. */
  readonly every: string;
  readonly stepsPerEpoch: number;
  readonly layout: Layout;
  /** The position of each trainable parameter in the flat gradient. */
  readonly parameters: readonly FlatParameter[];
  /** Reads the values of every weight, in layout order. */
  readonly weights: () => readonly Float32Array[];
  readonly send: (step: number, histograms: NamedHistogram[]) => void;
}

export class Histograms {
  readonly #options: HistogramsOptions;
  readonly #every: Interval;

  constructor(options: HistogramsOptions) {
    this.#options = options;
    this.#every = parseInterval(options.every);
  }

  /**
   * Sends the histograms of `step` if the interval ends with it, in messages of at most `maxHistograms`.
   * @param gradient the gradient of the global mean loss, flat, in backward order, before clipping; not changed
   */
  after(step: number, gradient: Float32Array): void {
    const { stepsPerEpoch, parameters, weights, send } = this.#options;
    if (!endsWith(this.#every, step, stepsPerEpoch)) return;
    const all = weights().map((values, weight) => this.#histogram('weights', weight, values));
    for (const { weight, offset, size } of parameters)
      all.push(this.#histogram('gradients', weight, gradient.subarray(offset, offset + size)));
    for (let start = 0; start < all.length; start += maxHistograms)
      send(step, all.slice(start, start + maxHistograms));
  }

  #histogram(kind: NamedHistogram['kind'], weight: number, values: Float32Array): NamedHistogram {
    const name = this.#options.layout[weight]?.name ?? String(weight);
    return { kind, name: shortName(name, maxNameLength), histogram: histogramOf(values) };
  }
}

/** Opens the histograms of a generation. Returns undefined on ranks other than 0, and if no histograms are configured. */
export function openHistograms(
  replica: Replica,
  communicator: Pick<Communicator, 'send'>,
  { rank, generation }: Pick<Plan, 'rank' | 'generation'>,
  parameters: readonly FlatParameter[],
  stepsPerEpoch: number,
): Histograms | undefined {
  const { histogramEvery } = replica.config;
  if (histogramEvery === null || rank !== 0) return undefined;
  return new Histograms({
    every: histogramEvery,
    stepsPerEpoch,
    layout: replica.layout,
    parameters,
    weights: () => readWeights(replica),
    send: (step, histograms) => communicator.send({ type: 'histograms', generation, step, histograms }),
  });
}
