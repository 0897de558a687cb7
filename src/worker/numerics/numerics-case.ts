/** The unit of the numerics check: one operation on one class of shapes, with fixed inputs. */

import type { Rank, ShapeMap, Tensor } from '@tensorflow/tfjs-core';
import type { Precision } from '../../shared/config/run-config.js';
import type { Tensorflow } from '../../api/tensorflow.js';
import type { Kernels } from '../kernels/kernels.js';

export type Output = Tensor | Float32Array | Float64Array | Int32Array | Uint8Array;

/** One call of the operation. Tensors that it makes are freed by the caller's tidy. */
export type Call = () => readonly Output[];

export interface NumericsCase {
  /** The operation as Lockstep or tfjs names it. */
  readonly operation: string;
  /** The shapes and options, for people. */
  readonly shapes: string;
  readonly precision: Precision;
  /** Makes the inputs, inside a tidy that outlives every call. `release` frees what a tidy does not. */
  readonly prepare: () => Call | { readonly call: Call; readonly release: () => void };
}

/** The implementations that a case may use. */
export interface NumericsContext {
  readonly tf: Tensorflow;
  /** Lockstep's own ops where the machine has them, else TensorFlow's. */
  readonly kernels: Readonly<Record<Precision, Kernels>>;
  /** TensorFlow's ops alone: what computes on a GPU, or without Lockstep's compiled ops. */
  readonly composed: Readonly<Record<Precision, Kernels>>;
}

export const precisions = ['float32', 'bfloat16'] as const satisfies readonly Precision[];

/** Normally distributed numbers that depend on the shape and the seed alone. */
export function normal<R extends Rank>(tf: Tensorflow, shape: ShapeMap[R], seed: number): Tensor<R> {
  return tf.randomNormal<R>(shape, 0, 1, 'float32', seed);
}

export const times = (shape: readonly number[]): string => (shape.length === 0 ? 'scalar' : shape.join('x'));
