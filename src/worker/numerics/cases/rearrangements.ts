/** Functions of tfjs that move values: gathers, slices, pads, transposes and their gradients. */

import type { Tensor } from '@tensorflow/tfjs-core';
import { times, type NumericsCase, type NumericsContext } from '../numerics-case.js';
import { differentiable } from './differentiable.js';

export function rearrangementCases(context: NumericsContext): NumericsCase[] {
  return [...gathers(context), ...moves(context), ...creations(context)];
}

/** An Embedding layer: rows of a matrix by number, and their gradient, which adds what falls on one row. */
function gathers(context: NumericsContext): NumericsCase[] {
  const { tf } = context;
  return (
    [
      [[5, 1], [3]],
      [
        [17, 8],
        [4, 6],
      ],
      [[64, 33], [50]],
    ] as const
  ).map(([table, indices]) => {
    const [rows] = table;
    const count = indices.reduce((product: number, size) => product * size, 1);
    const numbers = Int32Array.from({ length: count }, (_, i) => (i * i) % rows);
    return differentiable(
      context,
      'tf.gather and its gradient',
      [table],
      (x) => tf.gather(x, tf.tensor(numbers, [...indices], 'int32')),
      { detail: `by ${times(indices)} indices` },
    );
  });
}

function moves(context: NumericsContext): NumericsCase[] {
  const { tf } = context;
  const shape = [5, 17, 8];
  const single: Readonly<Record<string, (x: Tensor) => Tensor>> = {
    'expandDims and tf.squeeze': (x) => tf.squeeze(tf.expandDims(x, 1), [1]),
    pad: (x) =>
      tf.pad(x, [
        [0, 0],
        [1, 2],
        [3, 0],
      ]),
    reshape: (x) => tf.reshape(x, [17, 40]),
    reverse: (x) => tf.reverse(x, 1),
    slice: (x) => tf.slice(x, [1, 2, 0], [3, 9, 8]),
    'split and tf.concat': (x) => tf.concat(tf.split(x, [4, 13], 1).reverse(), 1),
    tile: (x) => tf.tile(x, [1, 2, 3]),
    transpose: (x) => tf.transpose(x, [2, 0, 1]),
    'unstack and tf.stack': (x) => tf.stack(tf.unstack(x, 1).reverse(), 2),
  };
  return Object.entries(single).map(([name, move]) =>
    differentiable(context, `tf.${name} and gradient`, [shape], (x) => move(x)),
  );
}

/** Tensors that are made from nothing. */
function creations({ tf }: NumericsContext): NumericsCase[] {
  return [[1], [5, 17], [3, 4, 5, 8]].map((shape): NumericsCase => ({
    operation: 'tf.fill, tf.zerosLike, tf.onesLike, tf.oneHot and tf.range',
    shapes: times(shape),
    precision: 'float32',
    prepare: () => {
      const x = tf.ones(shape);
      const size = x.size;
      return () => {
        const numbers = tf.range(0, size, 1, 'int32');
        return [tf.fill(shape, 0.5), tf.zerosLike(x), tf.onesLike(x), tf.oneHot(numbers, size + 1), numbers];
      };
    },
  }));
}
