/**
 * Adam in place on resource variables, with one fused op over the flat vector of all parameters (ResourceApplyAdam).
 *
 * The op divides by sqrt(v) + epsilon and includes the bias corrections in the learning rate. With epsilon * sqrt(1 - beta2^t) as
 * its epsilon it computes PyTorch's sqrt(v / (1 - beta2^t)) + epsilon. The beta powers are given as 0, because the op would compute
 * 1 - power in float32, where 1 - 0.999 has only five correct digits.
 */

import type { Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import { hashEach } from '../../shared/ledger/hash.js';
import {
  adamVectors,
  readAdamVectors,
  vectorOf,
  type NamedVectors,
  type ParameterVector,
} from '../../shared/model/named-vectors.js';
import type { Tensorflow } from '../../api/tensorflow.js';
import { copyOf } from './host-updates.js';
import type { AdamState, AdamStep } from './kernels.js';
import { dtypes, type Attribute, type RawId, type RawOps } from './raw-ops.js';

/** Number of states created in this process; it makes the names of their variables unique. */
let created = 0;

/** See `Kernels.adam`. */
export class TensorflowAdam implements AdamState {
  readonly #tf: Tensorflow;
  readonly #ops: RawOps;
  readonly #sizes: readonly number[];
  readonly #betas: readonly [number, number];
  readonly #dtype: readonly Attribute[];
  /** The handles of the variables, in the order of `adamVectors`. */
  readonly #variables: readonly [RawId, RawId, RawId];

  constructor(
    tf: Tensorflow,
    ops: RawOps,
    initial: Float32Array,
    sizes: readonly number[],
    betas: readonly [number, number],
  ) {
    this.#tf = tf;
    this.#ops = ops;
    this.#sizes = sizes;
    this.#betas = betas;
    this.#dtype = [ops.type('dtype', dtypes.float32)];
    const prefix = `adam${++created}`;
    const variable = (name: string): RawId => this.#createVariable(`${prefix}/${name}`, initial.length);
    this.#variables = [variable('parameters'), variable('first'), variable('second')];
    const zeros = new Float32Array(initial.length);
    [initial, zeros, zeros].forEach((values, i) => this.#assign(this.#variables[i] as RawId, values));
  }

  apply(
    gradient: Float32Array,
    { stepSize, correction, epsilon }: AdamStep,
    hashes?: Uint8Array,
  ): Tensor1D[] {
    const { tidy, scalar, tensor1d, split } = this.#tf;
    const ops = this.#ops;
    const [beta1, beta2] = this.#betas;
    tidy(() => {
      const scalars: Tensor[] = [0, 0, stepSize * correction, beta1, beta2, epsilon * correction].map(
        (value) => scalar(value),
      );
      ops.effect(
        'ResourceApplyAdam',
        [ops.type('T', dtypes.float32), ops.bool('use_locking', false), ops.bool('use_nesterov', false)],
        [...this.#variables, ...scalars, tensor1d(gradient)],
      );
    });
    const updated = tidy(() => split<Tensor1D>(this.#value(this.#variables[0]), [...this.#sizes]));
    if (hashes) {
      const values = updated.map((tensor) => tensor.dataSync<'float32'>());
      hashEach(values, hashes);
    }
    return updated;
  }

  read(into?: NamedVectors, only?: ParameterVector): NamedVectors {
    return readAdamVectors(only, (name, i) => this.#read(this.#variables[i] as RawId, into?.get(name)));
  }

  write(state: NamedVectors): void {
    adamVectors.forEach((name, i) => this.#assign(this.#variables[i] as RawId, vectorOf(state, name)));
  }

  dispose(): void {
    const ops = this.#ops;
    for (const variable of this.#variables) {
      ops.effect('DestroyResourceOp', [ops.bool('ignore_lookup_error', true)], [variable]);
      ops.delete(variable);
    }
  }

  #createVariable(name: string, size: number): RawId {
    const ops = this.#ops;
    const names = [ops.string('container', ''), ops.string('shared_name', name)];
    return ops.raw('VarHandleOp', [...this.#dtype, ops.shape('shape', [size]), ...names], []);
  }

  #assign(variable: RawId, values: Float32Array): void {
    const tensor = this.#tf.tensor1d(values);
    this.#ops.effect('AssignVariableOp', this.#dtype, [variable, tensor]);
    tensor.dispose();
  }

  #value(variable: RawId): Tensor1D {
    return this.#ops.tensor('ReadVariableOp', this.#dtype, [variable]);
  }

  #read(variable: RawId, into: Float32Array | undefined): Float32Array {
    const tensor = this.#value(variable);
    const values = copyOf(tensor.dataSync<'float32'>(), into);
    tensor.dispose();
    return values;
  }
}
