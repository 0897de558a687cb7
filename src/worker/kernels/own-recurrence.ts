/** The recurrence by Lockstep's TensorFlow ops (native/recurrence_ops.cc), on a CPU with AVX2 or AVX-512. */

import type { Tensor } from '@tensorflow/tfjs-core';
import type { Tensorflow } from '../../api/tensorflow.js';
import type { Attribute, RawOps } from './raw-ops.js';
import {
  cellActivations,
  cellKinds,
  type RecurrenceInputs,
  type RecurrenceOptions,
  type RunRecurrence,
} from './recurrence.js';
import { recurrenceBy } from './recurrence-pass.js';

/** @param kernels computes the products of the recurrent kernel's gradient */
export function ownRecurrence(
  tf: Tensorflow,
  ops: RawOps,
  kernels: Parameters<typeof recurrenceBy>[1],
): RunRecurrence {
  return recurrenceBy(tf, kernels, {
    record: (options, inputs) =>
      ops.one('LockstepRecurrence', attributesOf(ops, options), givenTo(tf, inputs)),
    gradients: (options, inputs, record, hidden, last) => {
      const none = tf.tensor1d([]);
      const given = [...givenTo(tf, inputs), record, hidden ?? none, last ?? none];
      return ops.one('LockstepRecurrenceGradient', attributesOf(ops, options), given);
    },
  });
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
