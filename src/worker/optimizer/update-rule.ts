/**
 * An optimizer's update over one flat vector of all trainable parameters, and the vectors that it remembers between steps
 * (slots: momenta, moments). A rule keeps both where its arithmetic runs; they come out as copies.
 */

import type { Tensor1D } from '@tensorflow/tfjs';
import { exactMath } from '../../shared/arithmetic/exact-math.js';
import type { OptimizerConfig } from '../../shared/config/run-config.js';
import { hashEach } from '../../shared/ledger/hash.js';
import type { Tensorflow } from '../engine/native.js';
import type { FlatParameter } from '../executor/gradient-buckets.js';
import { updateAdam, updateSgd, copyOf } from '../kernels/host-updates.js';
import type { Kernels } from '../kernels/kernels.js';

/** Flat, in backward order; every slot is as long as the parameters. */
export interface RuleState {
  readonly parameters: Float32Array;
  readonly slots: ReadonlyMap<string, Float32Array>;
}

export interface UpdateRule {
  /**
   * Applies update `step` (from 1) and returns the parameters after it, one vector each, which the caller disposes. The
   * gradient stays where it is from step to step. `hashes` takes the ledger's hash of each parameter, 8 bytes each.
   */
  apply(gradient: Float32Array, step: number, learningRate: number, hashes?: Uint8Array): Tensor1D[];
  /** Copies, in `into`'s vectors where it is given. */
  read(into?: RuleState): RuleState;
  write(state: RuleState): void;
  dispose(): void;
}

/** Names of the slots, as checkpoints have them. */
export function slotNames(config: OptimizerConfig): readonly string[] {
  if (config.kind === 'sgd') return config.momentum > 0 ? ['sgd.momentum'] : [];
  return ['adam.first', 'adam.second'];
}

export function createRule(
  tf: Tensorflow,
  kernels: Kernels,
  config: OptimizerConfig,
  parameters: readonly FlatParameter[],
  initial: Float32Array,
): UpdateRule {
  if (config.kind === 'adam' && config.weightDecay === 0)
    return new EngineAdam(kernels, config, parameters, initial);
  return new HostRule(tf, config, parameters, initial);
}

type AdamConfig = Exclude<OptimizerConfig, { kind: 'sgd' }>;

/** In float64 from the step's number, so that a resumed run has the same ones. */
function adamStep({ beta1, beta2, epsilon }: AdamConfig, step: number, learningRate: number) {
  return {
    stepSize: learningRate / (1 - exactMath.pow(beta1, step)),
    correction: Math.sqrt(1 - exactMath.pow(beta2, step)),
    epsilon,
  };
}

/** Adam (Kingma & Ba 2015) by the engine's own kernel. */
class EngineAdam implements UpdateRule {
  readonly #config: AdamConfig;
  readonly #state: ReturnType<Kernels['adam']>;

  constructor(
    kernels: Kernels,
    config: AdamConfig,
    parameters: readonly FlatParameter[],
    initial: Float32Array,
  ) {
    this.#config = config;
    const sizes = parameters.map(({ size }) => size);
    this.#state = kernels.adam(initial, sizes, config.beta1, config.beta2);
  }

  apply(gradient: Float32Array, step: number, learningRate: number, hashes?: Uint8Array): Tensor1D[] {
    return this.#state.apply(gradient, adamStep(this.#config, step, learningRate), hashes);
  }

  read(into?: RuleState): RuleState {
    const held = into && {
      parameters: into.parameters,
      first: slotOf(into.slots, 'adam.first', into.parameters.length),
      second: slotOf(into.slots, 'adam.second', into.parameters.length),
    };
    const { parameters, first, second } = this.#state.read(held);
    return {
      parameters,
      slots: new Map([
        ['adam.first', first],
        ['adam.second', second],
      ]),
    };
  }

  write({ parameters, slots }: RuleState): void {
    this.#state.write({
      parameters,
      first: slotOf(slots, 'adam.first', parameters.length),
      second: slotOf(slots, 'adam.second', parameters.length),
    });
  }

  dispose(): void {
    this.#state.dispose();
  }
}

/** Any rule, in JavaScript: the same arithmetic on every engine; one pass over memory, on one core. */
class HostRule implements UpdateRule {
  readonly #tf: Tensorflow;
  readonly #config: OptimizerConfig;
  readonly #layout: readonly FlatParameter[];
  #parameters: Float32Array;
  #slots: Map<string, Float32Array>;

  constructor(
    tf: Tensorflow,
    config: OptimizerConfig,
    layout: readonly FlatParameter[],
    initial: Float32Array,
  ) {
    this.#tf = tf;
    this.#config = config;
    this.#layout = layout;
    this.#parameters = initial.slice();
    this.#slots = new Map(slotNames(config).map((name) => [name, new Float32Array(initial.length)]));
  }

  apply(gradient: Float32Array, step: number, learningRate: number, hashes?: Uint8Array): Tensor1D[] {
    for (const { offset, size, shape } of this.#layout) {
      const decays = this.#config.weightDecayOf === 'all' || shape.length >= 2;
      const decay = decays ? this.#config.weightDecay : 0;
      this.#update(gradient, [offset, offset + size], step, learningRate, decay);
    }
    // Copies: an engine may read a tensor's values later than this.
    const parts = this.#layout.map(({ offset, size }) => this.#parameters.slice(offset, offset + size));
    if (hashes) hashEach(parts, hashes);
    return parts.map((part) => this.#tf.tensor1d(part));
  }

  #update(
    gradient: Float32Array,
    range: readonly [number, number],
    step: number,
    learningRate: number,
    decay: number,
  ): void {
    const config = this.#config;
    const slot = (name: string): Float32Array => this.#slots.get(name) ?? this.#parameters;
    if (config.kind === 'sgd') {
      const coefficients = { ...config, learningRate, decay };
      updateSgd(this.#parameters, slot('sgd.momentum'), gradient, range, step === 1, coefficients);
      return;
    }
    updateAdam(this.#parameters, slot('adam.first'), slot('adam.second'), gradient, range, {
      ...adamStep(config, step, learningRate),
      beta1: config.beta1,
      beta2: config.beta2,
      coupledDecay: config.kind === 'adam' ? decay : 0,
      decoupledDecay: config.kind === 'adamw' ? learningRate * decay : 0,
    });
  }

  read(into?: RuleState): RuleState {
    return {
      parameters: copyOf(this.#parameters, into?.parameters),
      slots: new Map(
        [...this.#slots].map(([name, values]) => [name, copyOf(values, into?.slots.get(name))] as const),
      ),
    };
  }

  write({ parameters, slots }: RuleState): void {
    this.#parameters = parameters.slice();
    this.#slots = new Map(
      slotNames(this.#config).map((name) => [name, slotOf(slots, name, parameters.length).slice()]),
    );
  }

  dispose(): void {
    this.#slots.clear();
  }
}

function slotOf(slots: RuleState['slots'], name: string, length: number): Float32Array {
  return slots.get(name) ?? new Float32Array(length);
}
