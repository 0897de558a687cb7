/** Elementwise functions of tfjs: activations, the arithmetic of recorded layers and losses, and comparisons. */

import type { Tensor } from '@tensorflow/tfjs-core';
import { normal, times, type NumericsCase, type NumericsContext } from '../numerics-case.js';
import { differentiable } from './differentiable.js';

/** A length with a remainder after whole vectors. */
const shapes: readonly (readonly number[])[] = [[3, 5, 17]];

/** Pairs that are equal or broadcast. */
const pairs: readonly (readonly (readonly number[])[])[] = [
  [[17], [17]],
  [[5, 16], [16]],
];

export function elementwiseCases(context: NumericsContext): NumericsCase[] {
  const { tf } = context;
  const positive = (x: Tensor): Tensor => tf.add(tf.abs(x), 0.5);
  const unary: Readonly<Record<string, (x: Tensor) => Tensor>> = {
    abs: tf.abs,
    elu: tf.elu,
    erf: tf.erf,
    exp: tf.exp,
    leakyRelu: (x) => tf.leakyRelu(x, 0.1),
    log1p: (x) => tf.log1p(tf.abs(x)),
    neg: tf.neg,
    relu: tf.relu,
    relu6: tf.relu6,
    selu: tf.selu,
    sigmoid: tf.sigmoid,
    sign: tf.sign,
    softplus: tf.softplus,
    square: tf.square,
    tanh: tf.tanh,
    clipByValue: (x) => tf.clipByValue(x, -0.5, 0.5),
  };
  const ofPositive: Readonly<Record<string, (x: Tensor) => Tensor>> = {
    log: tf.log,
    reciprocal: tf.reciprocal,
    rsqrt: tf.rsqrt,
    sqrt: tf.sqrt,
  };
  const binary: Readonly<Record<string, (a: Tensor, b: Tensor) => Tensor>> = {
    add: tf.add,
    div: tf.div,
    mul: tf.mul,
    pow: tf.pow,
    prelu: tf.prelu,
    sub: tf.sub,
  };
  /** tfjs has no gradient of these for shapes that broadcast. */
  const equalShapes: typeof binary = {
    maximum: tf.maximum,
    minimum: tf.minimum,
    squaredDifference: tf.squaredDifference,
  };
  return [
    ...Object.entries(unary).flatMap(([name, compute]) =>
      shapes.map((shape) => differentiable(context, `tf.${name} and its gradient`, [shape], compute)),
    ),
    ...Object.entries(ofPositive).flatMap(([name, compute]) =>
      shapes.map((shape) =>
        differentiable(context, `tf.${name} and its gradient`, [shape], compute, { domain: positive }),
      ),
    ),
    ...Object.entries(binary).flatMap(([name, compute]) =>
      pairs.map((pair) => ofPair(context, name, pair, compute, positive)),
    ),
    ...Object.entries(equalShapes).flatMap(([name, compute]) =>
      shapes.map((shape) => ofPair(context, name, [shape, shape], compute, positive)),
    ),
    ...comparisons(context),
  ];
}

function ofPair(
  context: NumericsContext,
  name: string,
  pair: readonly (readonly number[])[],
  compute: (a: Tensor, b: Tensor) => Tensor,
  domain: (x: Tensor) => Tensor,
): NumericsCase {
  return differentiable(context, `tf.${name} and its gradients`, pair, (a, b) => compute(a, b), { domain });
}

/** Comparisons of whole numbers, some of them equal, and the functions of tfjs that take the answers. */
function comparisons({ tf }: NumericsContext): NumericsCase[] {
  const compare = { equal: tf.equal, notEqual: tf.notEqual, greater: tf.greater, less: tf.less } as const;
  const orEqual = { greaterEqual: tf.greaterEqual, lessEqual: tf.lessEqual } as const;
  return Object.entries({ ...compare, ...orEqual }).flatMap(([name, compute]) =>
    shapes.map((shape): NumericsCase => ({
      operation: `tf.${name}, logic and where`,
      shapes: times(shape),
      precision: 'float32',
      prepare: () => {
        const [a, b] = [1, 2].map((seed) => tf.round(normal(tf, [...shape], seed))) as [Tensor, Tensor];
        return () => {
          const answer = compute(a, b);
          const both = tf.logicalAnd(answer, tf.logicalOr(answer, tf.logicalNot(tf.isNaN(a))));
          return [answer, both, tf.cast(answer, 'float32'), tf.where(answer, a, b)];
        };
      },
    })),
  );
}
