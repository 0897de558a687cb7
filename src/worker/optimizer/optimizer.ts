/**
 * One optimizer step over all trainable parameters as a flat vector, and their return into the model's own variables.
 * Adam (Kingma & Ba 2015) with PyTorch's arithmetic. Every worker holds the whole state and takes the same step.
 */

import type { LayersModel } from '@tensorflow/tfjs';
import { exactMath } from '../../shared/arithmetic/exact-math.js';
import type { OptimizerConfig } from '../../shared/config/run-config.js';
import type { Tensorflow } from '../engine/native.js';
import type { FlatParameter } from '../executor/gradient-buckets.js';
import type { LayerVariable } from '../executor/layer-op.js';
import type { AdamState, Kernels, OptimizerState } from '../kernels/kernels.js';

export class Optimizer {
  readonly #tf: Tensorflow;
  readonly #config: OptimizerConfig;
  /** In the flat vectors' order. */
  readonly parameters: readonly FlatParameter[];
  readonly #variables: readonly LayerVariable[];
  readonly #adam: AdamState;

  constructor(
    tf: Tensorflow,
    kernels: Kernels,
    model: LayersModel,
    parameters: readonly FlatParameter[],
    config: OptimizerConfig,
  ) {
    this.#tf = tf;
    this.#config = config;
    this.parameters = parameters;
    this.#variables = model.weights;
    const flat = this.flatten(
      ({ weight, size }) => this.#variables[weight]?.read().dataSync<'float32'>() ?? new Float32Array(size),
    );
    const sizes = parameters.map(({ size }) => size);
    this.#adam = kernels.adam(flat, sizes, config.beta1, config.beta2);
  }

  /**
   * Applies update `step` (from 1) with the averaged `gradient` and writes the parameters into the model.
   * Bias corrections are computed in float64 from the step's number, so a resumed run has the same ones. With `hashes`,
   * the ledger's hash of each parameter goes there, 8 bytes each, in backward order.
   */
  apply(gradient: Float32Array, step: number, learningRate: number, hashes?: Uint8Array): void {
    const { beta1, beta2, epsilon } = this.#config;
    const update = {
      stepSize: learningRate / (1 - exactMath.pow(beta1, step)),
      correction: Math.sqrt(1 - exactMath.pow(beta2, step)),
      epsilon,
    };
    const updated = this.#adam.apply(gradient, update, hashes);
    this.#tf.tidy(() => {
      for (const [i, { weight, shape }] of this.parameters.entries()) {
        const values = updated[i];
        if (values) this.#variables[weight]?.write(this.#tf.reshape(values, [...shape]));
      }
    });
    for (const tensor of updated) tensor.dispose();
  }

  /** One flat vector from each parameter's values. */
  flatten(values: (parameter: FlatParameter) => Float32Array): Float32Array {
    const flat = new Float32Array(this.parameters.reduce((total, { size }) => total + size, 0));
    for (const parameter of this.parameters) flat.set(values(parameter), parameter.offset);
    return flat;
  }

  /** Copies of the parameters and both moments, flat, in backward order. */
  save(): OptimizerState {
    return this.#adam.read();
  }

  /** Goes on from a saved state: moments, and parameters also in the model. */
  restore(state: OptimizerState): void {
    this.#adam.write(state);
    this.#tf.tidy(() => {
      for (const { weight, shape, offset, size } of this.parameters) {
        const values = state.parameters.slice(offset, offset + size);
        this.#variables[weight]?.write(this.#tf.tensor(values, [...shape]));
      }
    });
  }

  dispose(): void {
    this.#adam.dispose();
  }
}
