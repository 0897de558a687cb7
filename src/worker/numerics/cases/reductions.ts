/** Reductions of tfjs, and the softmax functions, which reduce as well. */

import type { Tensor } from '@tensorflow/tfjs-core';
import { normal, times, type NumericsCase, type NumericsContext } from '../numerics-case.js';
import { differentiable } from './differentiable.js';

/** A shape with the axes that are reduced; none: all of them. */
const reductions: readonly (readonly [shape: readonly number[], axes: number[] | undefined])[] = [
  [[1], undefined],
  [[1000], undefined],
  [[5, 17], [1]],
  [[33, 16], [0]],
  [
    [3, 6, 7, 8],
    [1, 2],
  ],
];

const logits: readonly (readonly number[])[] = [
  [1, 10],
  [5, 17],
  [3, 4, 32],
];

export function reductionCases(context: NumericsContext): NumericsCase[] {
  const { tf } = context;
  const smooth: Readonly<Record<string, (x: Tensor, axes?: number[]) => Tensor>> = {
    max: tf.max,
    mean: tf.mean,
    min: tf.min,
    sum: tf.sum,
  };
  const softmaxes: Readonly<Record<string, (x: Tensor) => Tensor>> = {
    softmax: (x) => tf.softmax(x),
    logSoftmax: (x) => tf.logSoftmax(x),
  };
  return [
    ...Object.entries(smooth).flatMap(([name, reduce]) =>
      reductions.map(([shape, axes]) =>
        differentiable(context, `tf.${name} and its gradient`, [shape], (x) => reduce(x, axes), {
          detail: axes === undefined ? 'over all axes' : `over ${axes.join(', ')}`,
        }),
      ),
    ),
    ...Object.entries(softmaxes).flatMap(([name, compute]) =>
      logits.map((shape) =>
        differentiable(context, `tf.${name} and its gradient`, [shape], (x) => compute(x)),
      ),
    ),
    ...logits.map((shape): NumericsCase => ({
      operation: 'tf.argMax, tf.any and tf.all',
      shapes: times(shape),
      precision: 'float32',
      prepare: () => {
        const x = normal(tf, [...shape], 1);
        return () => [tf.argMax(x, -1), tf.any(tf.greater(x, 1), -1), tf.all(tf.less(x, 1), -1)];
      },
    })),
  ];
}
