/**
 * Adam in place on resource variables, one fused op over the flat vector of all parameters (ResourceApplyAdam).
 *
 * TensorFlow divides by sqrt(v) + epsilon with the bias corrections folded into the learning rate; given
 * epsilon * sqrt(1 - beta2^t) that is PyTorch's sqrt(v / (1 - beta2^t)) + epsilon. The beta powers are given as 0, because
 * the op would compute 1 - power in float32, where 1 - 0.999 has only five digits left.
 */

import type { Tensor, Tensor1D } from '@tensorflow/tfjs';
import { hashEach } from '../../shared/ledger/hash.js';
import { adamVectors, vectorOf } from '../../shared/model/named-vectors.js';
import type { Tensorflow } from '../engine/native.js';
import type { AdamState } from './kernels.js';
import { dtypes, type RawId, type RawOps } from './raw-ops.js';
import { copyOf } from './host-updates.js';

let created = 0;

export function tensorflowAdam(
  tf: Tensorflow,
  ops: RawOps,
  initial: Float32Array,
  sizes: readonly number[],
  beta1: number,
  beta2: number,
): AdamState {
  const size = initial.length;
  const type = [ops.type('dtype', dtypes.float32)];
  const run = ++created;

  const assign = (variable: RawId, values: Float32Array): void => {
    const tensor = tf.tensor1d(values);
    ops.effect('AssignVariableOp', type, [variable, tensor]);
    tensor.dispose();
  };
  const variable = (name: string): RawId =>
    ops.raw(
      'VarHandleOp',
      [
        ...type,
        ops.shape('shape', [size]),
        ops.string('container', ''),
        ops.string('shared_name', `adam${run}/${name}`),
      ],
      [],
    );
  const parameters = variable('parameters');
  const variables = [parameters, variable('first'), variable('second')];
  const read = (from: RawId): Tensor1D => ops.tensor('ReadVariableOp', type, [from]);
  const readValues = (from: RawId, into: Float32Array | undefined): Float32Array => {
    const tensor = read(from);
    const values = copyOf(tensor.dataSync<'float32'>(), into);
    tensor.dispose();
    return values;
  };

  const zeros = new Float32Array(size);
  [initial, zeros, zeros].forEach((values, i) => assign(variables[i] as RawId, values));

  return {
    write: (state) => adamVectors.forEach((name, i) => assign(variables[i] as RawId, vectorOf(state, name))),
    read: (into) =>
      new Map(adamVectors.map((name, i) => [name, readValues(variables[i] as RawId, into?.get(name))])),
    apply: (gradient, { stepSize, correction, epsilon }, hashes) => {
      tf.tidy(() => {
        const scalars: Tensor[] = [0, 0, stepSize * correction, beta1, beta2, epsilon * correction].map(
          (value) => tf.scalar(value),
        );
        ops.effect(
          'ResourceApplyAdam',
          [ops.type('T', dtypes.float32), ops.bool('use_locking', false), ops.bool('use_nesterov', false)],
          [...variables, ...scalars, tf.tensor1d(gradient)],
        );
      });
      const updated = tf.tidy(() => tf.split<Tensor1D>(read(parameters), [...sizes]));
      if (hashes)
        hashEach(
          updated.map((tensor) => tensor.dataSync<'float32'>()),
          hashes,
        );
      return updated;
    },
    dispose: () => {
      for (const held of variables) {
        ops.effect('DestroyResourceOp', [ops.bool('ignore_lookup_error', true)], [held]);
        ops.delete(held);
      }
    },
  };
}
