/**
 * One optimizer step over all trainable parameters as a flat vector, and their return into the model's own variables.
 * Every worker holds the whole state and takes the same step.
 */

import type { LayersModel } from '@tensorflow/tfjs';
import type { OptimizerConfig } from '../../shared/config/run-config.js';
import type { Tensorflow } from '../engine/native.js';
import type { FlatParameter } from '../executor/gradient-buckets.js';
import type { LayerVariable } from '../executor/layer.js';
import type { Kernels } from '../kernels/kernels.js';
import { createRule, type RuleState, type UpdateRule } from './update-rule.js';

export class Optimizer {
  readonly #tf: Tensorflow;
  /** In the flat vectors' order. */
  readonly parameters: readonly FlatParameter[];
  readonly #variables: readonly LayerVariable[];
  readonly #rule: UpdateRule;

  constructor(
    tf: Tensorflow,
    kernels: Kernels,
    model: LayersModel,
    parameters: readonly FlatParameter[],
    config: OptimizerConfig,
  ) {
    this.#tf = tf;
    this.parameters = parameters;
    this.#variables = model.weights;
    const flat = this.flatten(
      ({ weight, size }) => this.#variables[weight]?.read().dataSync<'float32'>() ?? new Float32Array(size),
    );
    this.#rule = createRule(tf, kernels, config, parameters, flat);
  }

  /** Elements of all parameters together. */
  get size(): number {
    return this.parameters.reduce((total, { size }) => total + size, 0);
  }

  /**
   * Applies update `step` (from 1) with the averaged `gradient`, which stays where it is from step to step, and writes the
   * parameters into the model. With `hashes`, the ledger's hash of each goes there, 8 bytes each, in backward order; `seen`
   * is shown each parameter's new values.
   */
  apply(
    gradient: Float32Array,
    step: number,
    learningRate: number,
    hashes?: Uint8Array,
    seen?: (parameter: FlatParameter, values: Float32Array) => void,
  ): void {
    const updated = this.#rule.apply(gradient, step, learningRate, hashes);
    this.#tf.tidy(() => {
      for (const [i, parameter] of this.parameters.entries()) {
        const values = updated[i];
        if (!values) continue;
        this.#variables[parameter.weight]?.write(this.#tf.reshape(values, [...parameter.shape]));
        seen?.(parameter, values.dataSync<'float32'>());
      }
    });
    for (const tensor of updated) tensor.dispose();
  }

  /** One flat vector from each parameter's values. */
  flatten(values: (parameter: FlatParameter) => Float32Array): Float32Array {
    const flat = new Float32Array(this.size);
    for (const parameter of this.parameters) flat.set(values(parameter), parameter.offset);
    return flat;
  }

  /** Copies of the parameters and the rule's slots, flat, in backward order; in `into`'s vectors where it is given. */
  save(into?: RuleState): RuleState {
    return this.#rule.read(into);
  }

  /** Goes on from a saved state: slots, and parameters also in the model. */
  restore(state: RuleState): void {
    this.#rule.write(state);
    this.loadIntoModel(state.parameters);
  }

  /** Writes flat values into the model alone; the next update goes on from the optimizer's own. */
  loadIntoModel(parameters: Float32Array): void {
    this.#tf.tidy(() => {
      for (const { weight, shape, offset, size } of this.parameters) {
        const values = parameters.slice(offset, offset + size);
        this.#variables[weight]?.write(this.#tf.tensor(values, [...shape]));
      }
    });
  }

  dispose(): void {
    this.#rule.dispose();
  }
}
