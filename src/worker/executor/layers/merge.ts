/**
 * The merging layers Add and Concatenate. Their gradients are copies and slices of the output's gradient, so they need no tape.
 */

import type { Tensor } from '@tensorflow/tfjs-core';
import { fieldsOf } from '../layer.js';
import { perTensor, type ActiveShard, type LayerImplementation, type LayerOp } from '../layer-op.js';
import type { SymbolicShape } from '../graph.js';

/** Implements the sum of inputs of one shape; tfjs broadcasts others. */
export const add: LayerImplementation = (_, { tf, node: { inputShapes } }) => {
  const [first = [], ...others] = inputShapes;
  const equal = others.every((shape) => sameShape(shape, first));
  if (!equal || first.includes(null, 1)) return undefined;
  return merging((inputs) => {
    const [a, b, ...more] = inputs as [Tensor, Tensor];
    let sum = tf.add(a, b);
    for (const next of more) {
      const previous = sum;
      sum = tf.add(previous, next);
      previous.dispose();
    }
    return [sum, (dy) => inputs.map(() => dy.clone())];
  });
};

/** Implements every axis that tfjs reads as declared. It takes the last axis for every negative one. */
export const concatenate: LayerImplementation = (layer, { tf, node: { inputShapes } }) => {
  const { axis } = fieldsOf<{ axis: number }>(layer);
  const [first = []] = inputShapes;
  const sameRank = inputShapes.every((shape) => shape.length === first.length);
  const last = first.length - 1;
  const position = axis === -1 ? last : axis;
  if (!sameRank || !Number.isInteger(position) || position < 1 || position > last) return undefined;
  return merging((inputs) => [
    tf.concat([...inputs], position),
    (dy) => {
      const sizes = inputs.map((input) => input.shape[position] as number);
      return tf.split(dy, sizes, position);
    },
  ]);
};

type Merge = (inputs: readonly Tensor[]) => [Tensor, (dy: Tensor) => Tensor[]];

/** Makes the op of a layer with several inputs and one output, shard by shard. */
function merging(merge: Merge): LayerOp {
  return {
    forward: (context, inputs) => {
      const results = context.shards.map((_: ActiveShard, i) =>
        merge(inputs.map((tensors) => tensors[i] as Tensor)),
      );
      return {
        outputs: [results.map(([y]) => y)],
        backward: ([dys = []]) =>
          perTensor(
            inputs.length,
            results.map(([, backward], i) => backward(dys[i] as Tensor)),
          ),
      };
    },
  };
}

function sameShape(a: SymbolicShape, b: SymbolicShape): boolean {
  return a.length === b.length && a.every((size, i) => size === b[i]);
}
