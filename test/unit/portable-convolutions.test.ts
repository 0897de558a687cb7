import { beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../src/worker/engine/engine.js';
import type { ConvWindow } from '../../src/worker/kernels/kernels.js';
import { PortableKernels } from '../../src/worker/kernels/portable.js';
import { convolveDirectly, outputShapeOf } from '../support/direct-convolution.js';
import { engineFor } from '../support/in-process.js';

const values = (shape: readonly number[], seed: number): Float32Array =>
  Float32Array.from(
    { length: shape.reduce((product, size) => product * size, 1) },
    (_, i) => (((i + seed) * 7919) % 1009) / 1009 - 0.5,
  );

describe('a convolution of the JavaScript engine and its gradients follow their definition', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await engineFor('js');
  });

  const windows: readonly (readonly [strides: [number, number], dilations: [number, number]])[] = [
    [
      [1, 1],
      [1, 1],
    ],
    [
      [2, 1],
      [1, 1],
    ],
    [
      [1, 1],
      [2, 2],
    ],
    [
      [1, 1],
      [3, 1],
    ],
    [
      [1, 1],
      [1, 2],
    ],
  ];
  const cases = windows.flatMap(([strides, dilations]) =>
    (['same', 'valid'] as const).map((padding): ConvWindow => ({ strides, dilations, padding })),
  );

  it.each(cases)('strides $strides, dilations $dilations, padding $padding', (window) => {
    const { tf } = engine;
    const kernels = new PortableKernels(tf);
    const shape = { x: [2, 9, 8, 2], filter: [3, 2, 2, 3], window } as const;
    const outputShape = outputShapeOf(shape);
    const [xs, filters, dys] = [values(shape.x, 1), values(shape.filter, 2), values(outputShape, 3)];
    const expected = convolveDirectly(shape, xs, filters, dys);
    const [y, dx, dfilter] = tf.tidy(() => {
      const x = tf.tensor4d(xs, [...shape.x]);
      const filter = tf.tensor4d(filters, [...shape.filter]);
      const dy = tf.tensor4d(dys, outputShape);
      return [
        kernels.conv2d(x, filter, window),
        kernels.conv2dInputGradient(shape.x, filter, dy, window),
        kernels.conv2dFilterGradient(x, shape.filter, dy, window),
      ].map((tensor) => tensor.dataSync<'float32'>());
    });
    for (const [got, wanted] of [
      [y, expected.y],
      [dx, expected.dx],
      [dfilter, expected.dfilter],
    ] as const) {
      expect(got).toHaveLength(wanted.length);
      for (const [i, value] of wanted.entries()) expect(got?.[i]).toBeCloseTo(value, 5);
    }
  });
});
