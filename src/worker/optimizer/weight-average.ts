/**
 * The exponential moving average of the weights (Polyak averaging): what is evaluated and saved when `ema` is set. BatchNorm's
 * statistics are averaged with them, for they belong to the weights that they were measured with.
 */

import type { AverageConfig } from '../../shared/config/optimizer-config.js';
import { updateAverage } from '../kernels/host-updates.js';

export class WeightAverage {
  readonly #config: AverageConfig;
  /** Flat, in backward order. */
  parameters: Float32Array;
  statistics: Float32Array;

  constructor(config: AverageConfig, parameters: Float32Array, statistics: Float32Array) {
    this.#config = config;
    this.parameters = parameters;
    this.statistics = statistics;
  }

  /** One parameter, `offset` elements into the flat vector, after step `step`. */
  add(step: number, offset: number, values: Float32Array): void {
    updateAverage(this.parameters.subarray(offset, offset + values.length), values, this.decayAt(step));
  }

  addStatistics(step: number, statistics: Float32Array): void {
    updateAverage(this.statistics, statistics, this.decayAt(step));
  }

  /** The first step's weights are the first average. */
  decayAt(step: number): number {
    const { decay, warmup } = this.#config;
    if (step === 1) return 0;
    return warmup ? Math.min(decay, (1 + step) / (10 + step)) : decay;
  }
}
