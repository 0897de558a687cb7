/** A case of a tfjs function: its value and its gradient by each input, as recorded layers compute them. */

import type { Tensor } from '@tensorflow/tfjs-core';
import { normal, times, type NumericsCase, type NumericsContext } from '../numerics-case.js';

export interface DifferentiableOptions {
  /** Appended to the shapes, for people. */
  readonly detail?: string;
  /** Applied to the normally distributed inputs; left out: none. */
  readonly domain?: (x: Tensor) => Tensor;
}

export function differentiable(
  { tf }: NumericsContext,
  operation: string,
  shapes: readonly (readonly number[])[],
  compute: (...inputs: Tensor[]) => Tensor,
  { detail, domain = (x) => x }: DifferentiableOptions = {},
): NumericsCase {
  return {
    operation,
    shapes: `${shapes.map(times).join(', ')}${detail === undefined ? '' : ` ${detail}`}`,
    precision: 'float32',
    prepare: () => {
      const inputs = shapes.map((shape, i) => domain(normal(tf, [...shape], i + 1)));
      const dy = normal(tf, compute(...inputs).shape, 9);
      const both = tf.valueAndGrads(compute);
      return () => {
        const { value, grads } = both(inputs, dy);
        return [value, ...grads];
      };
    },
  };
}
