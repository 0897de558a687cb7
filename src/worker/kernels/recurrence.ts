/**
 * The recurrence of LSTM, GRU and SimpleRNN as one op over all time steps, on engines that have it. Hidden states and gradients are in
 * the order of the input's time, also if the recurrence runs backwards.
 */

import type { Tensor, Tensor1D, Tensor2D, Tensor3D } from '@tensorflow/tfjs-core';
import type { PinnedVector } from '../../shared/memory/pinned-vector.js';

/** The numbers are those of native/recurrence.h. */
export const cellKinds = { lstm: 0, gru: 1, simpleRnn: 2 } as const;
export type CellKind = keyof typeof cellKinds;

/** Activations by tfjs's class names. The numbers are those of native/recurrence.h. */
export const cellActivations = { linear: 0, tanh: 1, sigmoid: 2, hardSigmoid: 3, relu: 4 } as const;
export type CellActivation = keyof typeof cellActivations;

/** Number of gates, whose columns follow each other in the kernels and the bias. */
export const gatesOf: Readonly<Record<CellKind, number>> = { lstm: 4, gru: 3, simpleRnn: 1 };
/** Number of states: the hidden state and, for an LSTM, the carry. */
export const statesOf: Readonly<Record<CellKind, number>> = { lstm: 2, gru: 1, simpleRnn: 1 };

export interface RecurrenceOptions {
  readonly kind: CellKind;
  readonly activation: CellActivation;
  /** The activation of the gates; a SimpleRNN has none. */
  readonly recurrentActivation: CellActivation;
  /** True if the last time step of the input is the first one of the recurrence. */
  readonly backwards: boolean;
}

export interface RecurrenceInputs {
  /** [samples, time, gates * units]: the input times its kernel, without the bias. */
  readonly projected: Tensor3D;
  /** [units, gates * units] */
  readonly recurrentKernel: Tensor2D;
  /** [gates * units] */
  readonly bias: Tensor1D | undefined;
  /** [samples, time], float32; a time step with 0 leaves the states as they were. */
  readonly mask: Tensor2D | undefined;
  /** [samples, units]: factors of the hidden state before every step. */
  readonly dropout: Tensor2D | undefined;
  /** [states, samples, units]; by default zeros. */
  readonly initial: Tensor3D | undefined;
}

export interface RecurrenceGradients {
  /** [samples * time, gates * units]; its sum over the rows is the gradient of the bias. */
  readonly projected: Tensor2D;
  /** Returns the gradients of the initial states, [states, samples, units]. */
  initial(): Tensor3D;
}

/** One recurrence on one shard; valid while its inputs live. The caller owns each tensor that a function returns. */
export interface RecurrencePass {
  /** Returns the hidden states after each step, [samples, time, units]. */
  hidden(): Tensor3D;
  /** Returns a state after the last step, [samples, units]: 0 is the hidden state, 1 the carry of an LSTM. */
  last(state: number): Tensor2D;
  /**
   * @param hidden gradient of `hidden`; undefined for zeros
   * @param last gradients of the states after the last step, each [samples, units], in their order; zeros for those that are missing
   */
  backward(hidden: Tensor | undefined, last: readonly Tensor[] | undefined): RecurrenceGradients;
  /** Returns the gradient of the recurrent kernel, given that of `projected`, or a function that writes it (`GradientWriter`). */
  recurrentKernelGradient(projected: Tensor2D): Tensor2D | ((target: PinnedVector) => void);
}

/** Runs inside a tidy, which also frees what the backward pass needs. */
export type RunRecurrence = (options: RecurrenceOptions, inputs: RecurrenceInputs) => RecurrencePass;
