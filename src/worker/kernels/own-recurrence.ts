/** The recurrence by Lockstep's TensorFlow ops (native/recurrence_ops.cc), on a CPU with AVX2 or AVX-512. */

import type { Tensor, Tensor1D, Tensor2D, Tensor3D } from '@tensorflow/tfjs-core';
import type { Tensorflow } from '../../api/tensorflow.js';
import type { Kernels } from './kernels.js';
import type { Attribute, RawOps } from './raw-ops.js';
import {
  cellActivations,
  cellKinds,
  gatesOf,
  statesOf,
  type RecurrenceInputs,
  type RecurrenceOptions,
  type RunRecurrence,
} from './recurrence.js';

/** Indices of parts of the record; see `Recurrence::parts` in native/recurrence.h. */
const parts = { hidden: 0, previous: 1, reset: 5, carry: 6 } as const;

/** @param kernels computes the products of the recurrent kernel's gradient */
export function ownRecurrence(
  tf: Tensorflow,
  ops: RawOps,
  kernels: Pick<Kernels, 'denseGradient' | 'matMul' | 'operand'>,
): RunRecurrence {
  return (options, inputs) => {
    const attributes = attributesOf(ops, options);
    const { kind, backwards } = options;
    const [samples, time] = inputs.projected.shape;
    const units = inputs.recurrentKernel.shape[0];
    const gates = gatesOf[kind];
    const given = givenTo(tf, inputs);
    const record = ops.one('LockstepRecurrence', attributes, given);
    const part = (index: number): Tensor3D =>
      tf.reshape(tf.slice(record, [index, 0, 0, 0], [1, samples, time, units]), [samples, time, units]);
    const lastOf = (states: Tensor3D): Tensor2D =>
      tf.reshape(tf.slice(states, [0, backwards ? 0 : time - 1, 0], [samples, 1, units]), [samples, units]);
    const hidden = part(parts.hidden);
    const rows = (x: Tensor): Tensor2D => tf.reshape(x, [samples * time, x.size / (samples * time)]);
    return {
      hidden,
      last: [lastOf(hidden), ...(kind === 'lstm' ? [lastOf(part(parts.carry))] : [])],
      backward: (dHidden, dLast) => {
        const none = tf.tensor1d([]);
        const gradients = ops.one<Tensor1D>('LockstepRecurrenceGradient', attributes, [
          ...given,
          record,
          dHidden ?? none,
          dLast ? tf.stack([...dLast]) : none,
        ]);
        const size = samples * time * gates * units;
        return {
          projected: tf.reshape(tf.slice(gradients, 0, size), [samples, time, gates * units]),
          initial: tf.reshape(tf.slice(gradients, size), [statesOf[kind], samples, units]),
        };
      },
      recurrentKernelGradient: (projected) => {
        const dy = rows(projected);
        if (kind !== 'gru') return kernels.denseGradient(rows(part(parts.previous)), dy);
        // The candidate's columns multiply the state after the reset gate.
        const before = transposedProduct(
          kernels,
          rows(part(parts.previous)),
          tf.slice(dy, [0, 0], [-1, 2 * units]),
        );
        const candidate = transposedProduct(kernels, rows(part(parts.reset)), tf.slice(dy, [0, 2 * units]));
        return tf.concat([before, candidate], 1);
      },
    };
  };
}

function attributesOf(ops: RawOps, options: RecurrenceOptions): Attribute[] {
  return [
    ops.int('kind', cellKinds[options.kind]),
    ops.int('activation', cellActivations[options.activation]),
    ops.int('recurrent_activation', cellActivations[options.recurrentActivation]),
    ops.int('backwards', options.backwards ? 1 : 0),
  ];
}

/** The inputs in the order of the ops; an empty tensor stands for a missing one. */
function givenTo(
  tf: Tensorflow,
  { projected, recurrentKernel, bias, mask, dropout, initial }: RecurrenceInputs,
): Tensor[] {
  const none = tf.tensor1d([]);
  return [projected, recurrentKernel, bias ?? none, mask ?? none, dropout ?? none, initial ?? none];
}

function transposedProduct(kernels: Pick<Kernels, 'matMul' | 'operand'>, a: Tensor2D, b: Tensor2D): Tensor2D {
  return kernels.matMul(kernels.operand(a), kernels.operand(b), true, false);
}
