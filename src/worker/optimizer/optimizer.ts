/**
 * One optimizer step over all trainable parameters as a flat vector, and the transfer of the result into the model's variables.
 * Every worker keeps the whole state and takes the same step.
 */

import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { PinnedVector } from '../../shared/memory/pinned-vector.js';
import type { OptimizerConfig } from '../../shared/config/run-config.js';
import {
  vectorOf,
  type NamedVectors,
  type ParameterVector,
  type PinnedVectors,
} from '../../shared/model/named-vectors.js';
import type { Tensorflow } from '../../api/tensorflow.js';
import type { FlatParameter } from '../executor/gradient-buckets.js';
import type { LayerVariable } from '../executor/layer.js';
import { weightsOf } from '../executor/model-weights.js';
import type { Kernels } from '../kernels/kernels.js';
import { createRule } from './create-rule.js';
import type { UpdateRule } from './update-rule.js';

export class Optimizer {
  readonly #tf: Tensorflow;
  /** The trainable parameters in the order of the flat vectors. */
  readonly parameters: readonly FlatParameter[];
  readonly #variables: readonly LayerVariable[];
  readonly #rule: UpdateRule;
  readonly #onPart: () => void;

  /** @param onPart called after each parameter and each vector that is copied outside of a step */
  constructor(
    tf: Tensorflow,
    kernels: Kernels,
    model: LayersModel,
    parameters: readonly FlatParameter[],
    config: OptimizerConfig,
    onPart: () => void = () => undefined,
  ) {
    this.#tf = tf;
    this.#onPart = onPart;
    this.parameters = parameters;
    this.#variables = weightsOf(model);
    const flat = this.flatten(
      ({ weight, size }) => this.#variables[weight]?.read().dataSync<'float32'>() ?? new Float32Array(size),
    );
    this.#rule = createRule(tf, kernels, config, parameters, flat, onPart);
  }

  /** Elements of all trainable parameters together: the length of the flat vectors. */
  get size(): number {
    return this.parameters.reduce((total, { size }) => total + size, 0);
  }

  /**
   * Applies update `step` (counted from 1) and writes the new parameters into the model.
   * @param gradient one element per trainable parameter, averaged over the global batch; the same memory at every step
   * @param hashes receives the ledger's hash of each parameter, 8 bytes each, in backward order
   * @param onUpdate called with each parameter's new values, which are valid during the call only
   */
  apply(
    gradient: PinnedVector,
    step: number,
    learningRate: number,
    hashes?: Uint8Array,
    onUpdate?: (parameter: FlatParameter, values: Float32Array) => void,
  ): void {
    const updated = this.#rule.apply(gradient, step, learningRate, hashes);
    this.#tf.tidy(() => {
      for (const [i, parameter] of this.parameters.entries()) {
        const values = updated[i];
        if (!values) continue;
        this.#variables[parameter.weight]?.write(this.#tf.reshape(values, [...parameter.shape]));
        onUpdate?.(parameter, values.dataSync<'float32'>());
      }
    });
    for (const tensor of updated) tensor.dispose();
  }

  /** Joins the values of all parameters to one flat vector. */
  flatten(values: (parameter: FlatParameter) => Float32Array): Float32Array {
    const flat = new Float32Array(this.size);
    for (const parameter of this.parameters) {
      flat.set(values(parameter), parameter.offset);
      this.#onPart();
    }
    return flat;
  }

  /** Copies `weights` and the rule's own vectors, or `only` one of them, into the vectors of `into` if it is given. */
  save(into?: PinnedVectors, only?: ParameterVector): NamedVectors {
    return this.#rule.read(into, only);
  }

  /** Continues from a saved state: replaces the rule's vectors, and the parameters in the model. */
  restore(vectors: NamedVectors): void {
    this.#rule.write(vectors);
    this.loadIntoModel(vectorOf(vectors, 'weights'));
  }

  /** Writes flat values into the model alone; the next update still continues from the optimizer's own parameters. */
  loadIntoModel(weights: Float32Array): void {
    for (const { weight, shape, offset, size } of this.parameters) {
      this.#tf.tidy(() => {
        const values = weights.slice(offset, offset + size);
        this.#variables[weight]?.write(this.#tf.tensor(values, [...shape]));
      });
      this.#onPart();
    }
  }

  dispose(): void {
    this.#rule.dispose();
  }
}
