/**
 * The exponential moving average of the weights (Polyak averaging), which is evaluated and saved if the configuration has
 * `ema`. BatchNorm's running statistics are averaged too, since they belong to the weights that they were measured with.
 */

import type { AverageConfig } from '../../shared/config/optimizer-config.js';
import { updateAverage } from '../kernels/host-updates.js';

export class WeightAverage {
  readonly #config: AverageConfig;
  /** The average of the trainable parameters, flat, in backward order. */
  weights: Float32Array;
  /** The average of the running statistics, flat, in layout order. */
  statistics: Float32Array;

  /** Keeps both vectors and changes them in place. */
  constructor(config: AverageConfig, weights: Float32Array, statistics: Float32Array) {
    this.#config = config;
    this.weights = weights;
    this.statistics = statistics;
  }

  /** Adds the values of one parameter after `step`, which starts at element `offset` of the flat vector. */
  add(step: number, offset: number, values: Float32Array): void {
    updateAverage(this.weights.subarray(offset, offset + values.length), values, this.decayAt(step));
  }

  /** Adds the running statistics after `step`. */
  addStatistics(step: number, statistics: Float32Array): void {
    updateAverage(this.statistics, statistics, this.decayAt(step));
  }

  /** The factor of the previous average; 0 at step 1, so that the first step's weights are the first average. */
  decayAt(step: number): number {
    const { decay, warmup } = this.#config;
    if (step === 1) return 0;
    return warmup ? Math.min(decay, (1 + step) / (10 + step)) : decay;
  }
}
