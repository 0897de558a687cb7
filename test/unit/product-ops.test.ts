import type { Rank, Tensor, Tensor2D, Tensor4D } from '@tensorflow/tfjs';
import { allocatePinned } from '../../src/shared/memory/pinned-vector.js';
import { describe, expect, it } from 'vitest';
import type { Precision } from '../../src/shared/config/run-config.js';
import { blocksOf, composedDropout } from '../../src/worker/kernels/composed-dropout.js';
import type { ConvWindow } from '../../src/worker/kernels/kernels.js';
import { TensorflowKernels } from '../../src/worker/kernels/tensorflow.js';
import { convolveDirectly } from '../support/direct-convolution.js';
import { engineFor } from '../support/in-process.js';

const { tf, memory } = await engineFor('tensorflow');
const window: ConvWindow = { strides: [1, 1], padding: 'same', dilations: [1, 1] };

/** Returns the largest difference relative to the size of the values. */
function distance(got: Tensor | Float32Array, expected: Float64Array): number {
  const values = got instanceof Float32Array ? got : got.dataSync<'float32'>();
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return (
    values.reduce((most, value, i) => Math.max(most, Math.abs(value - (expected[i] ?? NaN))), 0) / largest
  );
}

describe.each([
  // The first bound is a few units in the last place of a float32. In bfloat16, factors have 8 bits and a transform adds up to four.
  ['float32', 3e-6],
  ['bfloat16', 2e-2],
] as [Precision, number][])('products in %s', (precision, bar) => {
  const kernels = new TensorflowKernels(tf, memory, precision);

  it.each([
    [2, 6, 8, 16, 32],
    [1, 7, 5, 48, 16],
    [3, 1, 1, 16, 16],
    [1, 2, 9, 32, 64],
    // These are more images than one block of a filter gradient contains.
    [10, 4, 4, 16, 16],
  ])('match a direct convolution of %d images of %dx%d with %d input and %d output channels', (...shape) => {
    const [images, height, width, inputs, outputs] = shape;
    tf.tidy(() => {
      const x = tf.randomNormal<Rank.R4>([images, height, width, inputs], 0.2, 1, 'float32', 1);
      const filter = tf.randomNormal<Rank.R4>([3, 3, inputs, outputs], 0, 1, 'float32', 2);
      const dy = tf.randomNormal<Rank.R4>([images, height, width, outputs], 0, 1, 'float32', 3);
      const [xs, fs, ds] = [x, filter, dy].map((tensor) => tensor.dataSync<'float32'>()) as [
        Float32Array,
        Float32Array,
        Float32Array,
      ];
      const convolution = { x: x.shape, filter: filter.shape, window };
      const { y, dx, dfilter } = convolveDirectly(convolution, xs, fs, ds);
      const [a, f, g] = [x, filter, dy].map((factor) =>
        kernels.operand(factor, { filterShape: filter.shape, window }),
      ) as [Tensor4D, Tensor4D, Tensor4D];
      expect(distance(kernels.conv2d(a, f, window), y)).toBeLessThan(bar);
      expect(distance(kernels.conv2dInputGradient(x.shape, f, g, window), dx)).toBeLessThan(bar);
      expect(distance(kernels.conv2dFilterGradient(a, filter.shape, g, window), dfilter)).toBeLessThan(bar);
    });
  });

  it.each([
    [1, 16, 16],
    [33, 48, 80],
    [64, 112, 32],
    // These sizes are not multiples of a group of channels.
    [5, 12, 10],
  ])('match a dense gradient in float64 over %d rows, %d by %d', (rows, inputs, outputs) => {
    tf.tidy(() => {
      const x: Tensor2D = tf.randomNormal([rows, inputs], 0.2, 1, 'float32', 1);
      const dy: Tensor2D = tf.randomNormal([rows, outputs], 0, 1, 'float32', 2);
      const [xs, ds] = [x.dataSync<'float32'>(), dy.dataSync<'float32'>()];
      const expected = new Float64Array(inputs * outputs);
      for (let r = 0; r < rows; r++)
        for (let i = 0; i < inputs; i++)
          for (let o = 0; o < outputs; o++)
            expected[i * outputs + o] =
              (expected[i * outputs + o] as number) +
              (xs[r * inputs + i] as number) * (ds[r * outputs + o] as number);
      const gradient = kernels.denseGradient(x, dy);
      const values = allocatePinned(inputs * outputs);
      if (typeof gradient === 'function') gradient(values);
      else values.set(gradient.dataSync<'float32'>());
      expect(distance(values, expected)).toBeLessThan(bar);
    });
  });
});

describe('the fused dropout op', () => {
  it('returns the same bits as the composed dropout for all column counts, rates and counters', () => {
    const kernels = new TensorflowKernels(tf, memory);
    for (const [rows, columns, rate] of [
      [3, 64, 0.5],
      [5, 7, 0.25],
      [2, 131, 0.9],
      [1, 1, 0.1],
    ] as const) {
      const before = tf.memory().numTensors;
      const [own, composed] = tf.tidy(() => {
        const x: Tensor = tf.randomNormal([rows, columns], 3, 0.5, 'float32', 4);
        const given = [x, rate, [7, 2], [3 * blocksOf(columns), 11, 5]] as const;
        return [kernels.dropout(...given), composedDropout(tf, kernels, ...given)].map((tensor) =>
          tensor.dataSync<'float32'>(),
        );
      }) as unknown as [Float32Array, Float32Array];
      expect(own).toEqual(composed);
      expect(tf.memory().numTensors).toBe(before);
    }
  });
});
