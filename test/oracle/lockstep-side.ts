/** Lockstep's side of the oracle: one step from a given state, everything that it computed, and the masks that it draws. */

import type { Tensor } from '@tensorflow/tfjs';
import { loadMnist } from '../../src/shared/data/dataset.js';
import { imageData } from '../../src/shared/data/training-data.js';
import { elementCount } from '../../src/shared/model/layout.js';
import { vectorOf, type VectorName } from '../../src/shared/model/named-vectors.js';
import type { Engine } from '../../src/worker/engine/engine.js';
import type { GenerationContext } from '../../src/worker/training/generation-context.js';
import { trainStep } from '../../src/worker/training/train-step.js';
import { alone, batchOf } from '../support/in-process.js';
import { build, type Network } from './networks.js';

export const batchSize = 64;

export interface State {
  /** In layout order: weights, Adam's moments (of trainable weights only). */
  readonly weights: readonly Float32Array[];
  readonly first: readonly Float32Array[];
  readonly second: readonly Float32Array[];
}

export interface Step {
  readonly loss: number;
  readonly names: readonly string[];
  /** Gradients of the trainable weights, in layout order. */
  readonly gradients: readonly Float32Array[];
  readonly after: State;
}

export class LockstepSide {
  readonly #context: GenerationContext;

  private constructor(context: GenerationContext) {
    this.#context = context;
  }

  static async open(engine: Engine, network: Network, dropout: boolean, seed: number): Promise<LockstepSide> {
    const data = imageData(await loadMnist(), { mean: 0.5, std: 0.5 });
    const config = { batchSize, shards: 1, seed };
    return new LockstepSide(await alone(engine, build(network, dropout), config, data));
  }

  get weights(): Float32Array[] {
    return this.#context.replica.model.weights.map((weight) =>
      Float32Array.from(weight.read().dataSync<'float32'>()),
    );
  }

  get shapes(): (readonly number[])[] {
    return this.#context.replica.layout.map(({ shape }) => shape);
  }

  /** The batch of the step after `n` steps. */
  batch(n: number): { images: Float32Array; labels: Int32Array } {
    const { inputs, labels } = batchOf(this.#context, this.#context.sampler.plan(n + 1));
    return { images: inputs, labels };
  }

  /** The Dropout masks of the step after `n` steps, by layer. They don't depend on the weights, which this changes. */
  masks(n: number): Uint8Array[] {
    const { replica } = this.#context;
    const { kernels } = replica;
    // Each is drawn twice, forward and backward.
    const masks = new Map<string, Uint8Array>();
    const dropout = kernels.dropout.bind(kernels);
    kernels.dropout = (x, rate, key, counter) => {
      // Dropped is what becomes 0.
      const ones = replica.engine.tf.onesLike(x);
      const kept = dropout(ones, rate, key, counter);
      masks.set(
        counter.join(),
        Uint8Array.from(kept.dataSync<'float32'>(), (value) => (value > 0 ? 1 : 0)),
      );
      return dropout(x, rate, key, counter);
    };
    try {
      this.#step(n);
    } finally {
      kernels.dropout = dropout;
    }
    return [...masks.values()];
  }

  /** Free-running: the loss of the next of `count` steps from the present weights. */
  *run(count: number): Generator<number> {
    for (let n = 0; n < count; n++) yield this.#step(n).loss;
  }

  /** One step from `state`. */
  from(state: State, n: number): Step {
    const { replica, executor, state: training, localShards } = this.#context;
    const { optimizer } = training;
    const { tf } = replica.engine;
    for (const [i, weight] of replica.model.weights.entries()) {
      const tensor: Tensor = tf.tensor(state.weights[i] as Float32Array, weight.read().shape);
      weight.write(tensor);
      tensor.dispose();
    }
    const order = executor.backwardOrder;
    const join = (parts: readonly Float32Array[]): Float32Array => {
      const chosen = order.map((weight) => parts[weight] as Float32Array);
      const flat = new Float32Array(chosen.reduce((sum, { length }) => sum + length, 0));
      let offset = 0;
      for (const part of chosen) {
        flat.set(part, offset);
        offset += part.length;
      }
      return flat;
    };
    optimizer.restore(
      new Map([
        ['weights', join(state.weights)],
        ['adam.first', join(state.first)],
        ['adam.second', join(state.second)],
      ]),
    );
    if (localShards.end !== 1) throw new Error('the oracle compares one shard');
    const { loss, flat } = this.#step(n);
    const split = (values: Float32Array): Float32Array[] => {
      const parts: Float32Array[] = [];
      let offset = 0;
      for (const weight of order) {
        const size = elementCount(replica.layout[weight]?.shape ?? []);
        parts[weight] = values.slice(offset, (offset += size));
      }
      return parts;
    };
    const vectors = optimizer.save();
    const vector = (name: VectorName): Float32Array[] => split(vectorOf(vectors, name));
    return {
      loss,
      names: replica.layout.map(({ name }) => name),
      gradients: split(flat),
      after: { weights: this.weights, first: vector('adam.first'), second: vector('adam.second') },
    };
  }

  #step(n: number): { loss: number; flat: Float32Array } {
    const { buckets, sampler } = this.#context;
    const finish = buckets.finish.bind(buckets);
    let flat = new Float32Array(0);
    buckets.finish = () => {
      const gradient = finish();
      flat = Float32Array.from(gradient);
      return gradient;
    };
    try {
      return { loss: trainStep(this.#context, sampler.plan(n + 1)).loss, flat };
    } finally {
      buckets.finish = finish;
    }
  }
}
