/** Every update rule in JavaScript: the same arithmetic on every engine, in one pass over memory, on one core. */

import type { Tensor1D } from '@tensorflow/tfjs-core';
import type { PinnedVector } from '../../shared/memory/pinned-vector.js';
import type { OptimizerConfig } from '../../shared/config/run-config.js';
import { hashEach } from '../../shared/ledger/hash.js';
import {
  vectorOf,
  type NamedVectors,
  type PinnedVectors,
  type ParameterVector,
} from '../../shared/model/named-vectors.js';
import { optimizerVectors } from '../../shared/model/optimizer-vectors.js';
import type { Tensorflow } from '../../api/tensorflow.js';
import type { FlatParameter } from '../executor/gradient-buckets.js';
import { copyOf } from '../kernels/host-updates.js';
import { initialValue, updateRange } from './host-update.js';
import type { UpdateRule } from './update-rule.js';

export class HostRule implements UpdateRule {
  readonly #tf: Tensorflow;
  readonly #config: OptimizerConfig;
  readonly #parameters: readonly FlatParameter[];
  readonly #vectors: Map<ParameterVector, Float32Array>;

  constructor(
    tf: Tensorflow,
    config: OptimizerConfig,
    parameters: readonly FlatParameter[],
    initial: Float32Array,
  ) {
    this.#tf = tf;
    this.#config = config;
    this.#parameters = parameters;
    this.#vectors = new Map(
      optimizerVectors(config).map((name) => [
        name,
        new Float32Array(initial.length).fill(initialValue(config, name)),
      ]),
    );
    this.#vectors.set('weights', initial.slice());
  }

  apply(gradient: PinnedVector, step: number, learningRate: number, hashes?: Uint8Array): Tensor1D[] {
    for (const { offset, size, shape } of this.#parameters) {
      const decays = this.#config.weightDecayOf === 'all' || shape.length >= 2;
      const decay = decays ? this.#config.weightDecay : 0;
      const range = [offset, offset + size] as const;
      updateRange(this.#config, this.#vectors, { gradient, range, step, learningRate, decay });
    }
    // Copies, since an engine may read a tensor's values later.
    const weights = vectorOf(this.#vectors, 'weights');
    const parts = this.#parameters.map(({ offset, size }) => weights.slice(offset, offset + size));
    if (hashes) hashEach(parts, hashes);
    return parts.map((part) => this.#tf.tensor1d(part));
  }

  read(into?: PinnedVectors, only?: ParameterVector): NamedVectors {
    const read = [...this.#vectors].filter(([name]) => only === undefined || only === name);
    return new Map(read.map(([name, values]) => [name, copyOf(values, into?.get(name))]));
  }

  write(state: NamedVectors): void {
    for (const [name, values] of this.#vectors) values.set(vectorOf(state, name));
  }

  dispose(): void {
    this.#vectors.clear();
  }
}
