/** Attention with a mask and dropout, forward and backward. */

import type { Rank } from '@tensorflow/tfjs-core';
import { normal, times, type NumericsCase, type NumericsContext } from '../numerics-case.js';

/** Samples, queries, keys, heads, and size per head; whole vectors of a CPU, and others. */
const sizes: readonly (readonly [number, number, number, number, number])[] = [
  [1, 1, 1, 1, 1],
  [2, 101, 19, 3, 5],
  [8, 32, 32, 4, 16],
];

export function attentionCases({ tf, kernels }: NumericsContext): NumericsCase[] {
  return sizes.map(([samples, queries, keys, heads, size], i): NumericsCase => ({
    operation: 'attention and its gradients',
    shapes: times([samples, queries, keys, heads, size]),
    precision: 'float32',
    prepare: () => {
      const inputs = {
        query: normal<Rank.R4>(tf, [samples, queries, heads, size], 1),
        key: normal<Rank.R4>(tf, [samples, keys, heads, size], 2),
        value: normal<Rank.R4>(tf, [samples, keys, heads, size], 3),
        mask: tf.tensor3d(
          Float32Array.from({ length: samples * keys }, (_, at) => (at % 3 === 1 ? 0 : 1)),
          [samples, 1, keys],
        ),
        dropout: normal<Rank.R4>(tf, [samples, heads, queries, keys], 4),
        scale: 0.5,
        causal: i === 1,
      };
      const dy = normal<Rank.R4>(tf, [samples, queries, heads, size], 5);
      return () => {
        const pass = kernels.float32.attention(inputs);
        const { query, key, value } = pass.gradients(dy);
        return [pass.y, query, key, value];
      };
    },
  }));
}
