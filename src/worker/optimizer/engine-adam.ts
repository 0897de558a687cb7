/** Adam (Kingma & Ba 2015), computed by the engine's own kernel. */

import type { Tensor1D } from '@tensorflow/tfjs-core';
import type { PinnedVector } from '../../shared/memory/pinned-vector.js';
import { exactMath } from '../../shared/arithmetic/exact-math.js';
import type { OptimizerConfig } from '../../shared/config/run-config.js';
import type { NamedVectors, ParameterVector, PinnedVectors } from '../../shared/model/named-vectors.js';
import type { FlatParameter } from '../executor/gradient-buckets.js';
import type { AdamState, AdamStep, Kernels } from '../kernels/kernels.js';
import type { UpdateRule } from './update-rule.js';

export type AdamConfig = Extract<OptimizerConfig, { kind: 'adam' | 'adamw' }>;

/** Computed in float64 from the step's number alone, so that a resumed run has the same coefficients. */
export function adamStep(
  { beta1, beta2, epsilon }: AdamConfig,
  step: number,
  learningRate: number,
): AdamStep {
  return {
    stepSize: learningRate / (1 - exactMath.pow(beta1, step)),
    correction: Math.sqrt(1 - exactMath.pow(beta2, step)),
    epsilon,
  };
}

export class EngineAdam implements UpdateRule {
  readonly #config: AdamConfig;
  readonly #state: AdamState;

  constructor(
    kernels: Kernels,
    config: AdamConfig,
    parameters: readonly FlatParameter[],
    initial: Float32Array,
    onVector?: () => void,
  ) {
    this.#config = config;
    const sizes = parameters.map(({ size }) => size);
    this.#state = kernels.adam(initial, sizes, config.beta1, config.beta2, onVector);
  }

  apply(gradient: PinnedVector, step: number, learningRate: number, hashes?: Uint8Array): Tensor1D[] {
    return this.#state.apply(gradient, adamStep(this.#config, step, learningRate), hashes);
  }

  read(into?: PinnedVectors, only?: ParameterVector): NamedVectors {
    return this.#state.read(into, only);
  }

  write(state: NamedVectors): void {
    this.#state.write(state);
  }

  dispose(): void {
    this.#state.dispose();
  }
}
