/** Makes an engine's recurrence from its two ops: the forward pass, which writes a record, and the backward pass, which reads it. */

import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import type { Tensorflow } from '../../api/tensorflow.js';
import type { Kernels } from './kernels.js';
import {
  gatesOf,
  statesOf,
  type RecurrenceInputs,
  type RecurrenceOptions,
  type RunRecurrence,
} from './recurrence.js';

/** Indices of parts of the record; see `Recurrence::parts` in native/recurrence.h. */
const parts = { hidden: 0, previous: 1, reset: 5, carry: 6 } as const;
/** Number of parts by kind. */
export const partsOf = { lstm: 8, gru: 6, simpleRnn: 2 } as const;

export interface RecurrenceOps {
  /** Returns the record [parts, samples, time, units]. */
  record(options: RecurrenceOptions, inputs: RecurrenceInputs): Tensor;
  /**
   * Returns the gradient of `projected`, followed by that of the initial states.
   * @param last gradients of the first of the last states, [states, samples, units]; zeros for those that are missing
   */
  gradients(
    options: RecurrenceOptions,
    inputs: RecurrenceInputs,
    record: Tensor,
    hidden: Tensor | undefined,
    last: Tensor | undefined,
  ): Tensor1D;
}

/** @param kernels computes the products of the recurrent kernel's gradient */
export function recurrenceBy(
  tf: Tensorflow,
  kernels: Pick<Kernels, 'denseGradient' | 'matMul' | 'operand'>,
  ops: RecurrenceOps,
): RunRecurrence {
  return (options, inputs) => {
    const { kind, backwards } = options;
    const [samples, time] = inputs.projected.shape;
    const units = inputs.recurrentKernel.shape[0];
    const gates = gatesOf[kind];
    const record = ops.record(options, inputs);
    const part = (index: number): Tensor => tf.slice(record, [index, 0, 0, 0], [1, samples, time, units]);
    const rows = (index: number): Tensor2D => tf.reshape(part(index), [samples * time, units]);
    return {
      hidden: () => tf.reshape(part(parts.hidden), [samples, time, units]),
      last: (state) => {
        const first = [state === 0 ? parts.hidden : parts.carry, 0, backwards ? 0 : time - 1, 0];
        return tf.reshape(tf.slice(record, first, [1, samples, 1, units]), [samples, units]);
      },
      backward: (dHidden, dLast) => {
        const last = dLast && dLast.length > 1 ? tf.stack([...dLast]) : dLast?.[0];
        const gradients = ops.gradients(options, inputs, record, dHidden, last);
        const size = samples * time * gates * units;
        return {
          projected: tf.reshape(tf.slice(gradients, 0, size), [samples * time, gates * units]),
          initial: () => tf.reshape(tf.slice(gradients, size), [statesOf[kind], samples, units]),
        };
      },
      recurrentKernelGradient: (projected) => {
        if (kind !== 'gru') return kernels.denseGradient(rows(parts.previous), projected);
        // The candidate's columns multiply the state after the reset gate.
        const before = transposedProduct(
          kernels,
          rows(parts.previous),
          tf.slice(projected, [0, 0], [-1, 2 * units]),
        );
        const candidate = transposedProduct(kernels, rows(parts.reset), tf.slice(projected, [0, 2 * units]));
        return tf.concat([before, candidate], 1);
      },
    };
  };
}

function transposedProduct(kernels: Pick<Kernels, 'matMul' | 'operand'>, a: Tensor2D, b: Tensor2D): Tensor2D {
  return kernels.matMul(kernels.operand(a), kernels.operand(b), true, false);
}
