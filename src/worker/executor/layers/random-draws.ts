/**
 * The random numbers of one recorded call. They depend only on (seed, step, node, draw, position of the sample in the global batch), so
 * a sample has the same numbers on every worker and in every division into shards.
 */

import type { Tensor } from '@tensorflow/tfjs-core';
import { ModelError } from '../../../shared/errors.js';
import { philoxKey } from '../../../shared/random/philox.js';
import { blocksOf } from '../../kernels/composed-dropout.js';
import type { PhiloxKey } from '../../kernels/kernels.js';
import type { ActiveShard, LayerServices } from '../layer-op.js';

export interface DrawsOf {
  readonly shard: ActiveShard;
  readonly step: number;
}

export class RandomDraws {
  readonly #services: LayerServices;
  readonly #key: PhiloxKey;
  readonly #of: DrawsOf;
  /** Number of draws so far in this call. */
  #draw = 0;

  constructor(services: LayerServices, of: DrawsOf) {
    this.#services = services;
    const { low, high } = philoxKey(services.seed, 'layer');
    // The node is part of the key, so the counter has room for any number of draws, such as one per time step.
    this.#key = [low, (high | (services.node.index << 8)) >>> 0];
    this.#of = of;
  }

  /**
   * Uniform over [0, 1), of `shape` [samples, ...], or [samples * n, ...] for a layer that made n rows of each sample.
   * @throws ModelError if the rows are not those of the shard's samples
   */
  uniform(shape: readonly number[]): Tensor {
    const { tf, kernels, node } = this.#services;
    const { shard, step } = this.#of;
    const size = shape.reduce((product, dimension) => product * dimension, 1);
    const columns = size / shard.count;
    if ((shape[0] ?? 0) % shard.count !== 0) {
      throw new ModelError(
        `Layer "${node.layer.name}" (${node.layer.getClassName()}): expected the samples as the first axis of what it drops ` +
          `or adds noise to, got the shape [${shape.join(', ')}] for ${shard.count} samples. Apply the noise before.`,
      );
    }
    const padded = blocksOf(columns) * 4;
    const counter = [(shard.start * blocksOf(columns)) >>> 0, step, this.#draw++] as const;
    const drawn = kernels.philoxUniform(shard.count, padded, this.#key, counter);
    const exact = padded === columns ? drawn : tf.slice(drawn, [0, 0], [shard.count, columns]);
    return tf.reshape(exact, [...shape]);
  }

  /** Normally distributed with mean 0 and deviation 1 (Box and Muller), in two draws of `uniform`. */
  normal(shape: readonly number[]): Tensor {
    const { tf } = this.#services;
    const radius = tf.sqrt(tf.mul(tf.log(tf.sub(1, this.uniform(shape))), -2));
    return tf.mul(radius, tf.cos(tf.mul(this.uniform(shape), 2 * Math.PI)));
  }

  /** Leaves out draws whose numbers are not used. */
  skip(draws: number): void {
    this.#draw += draws;
  }

  /** `x` with values kept with probability 1 - rate and scaled by 1 / (1 - rate); the mask of `shape` is broadcast. */
  dropped(x: Tensor, rate: number, shape: readonly number[] = x.shape): Tensor {
    const { tf } = this.#services;
    const kept = tf.cast(tf.greaterEqual(this.uniform(shape), rate), 'float32');
    return tf.mul(x, tf.mul(kept, 1 / (1 - rate)));
  }
}
