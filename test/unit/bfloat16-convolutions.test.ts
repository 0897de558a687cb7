import type { LayersModel, Rank, Tensor4D } from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import type { ModelContext } from '../../src/api/define-training.js';
import type { ConvWindow } from '../../src/worker/kernels/kernels.js';
import { dtypes } from '../../src/worker/kernels/raw-ops.js';
import { recordOps } from '../../src/worker/kernels/record-ops.js';
import { TensorflowKernels } from '../../src/worker/kernels/tensorflow.js';
import { trainStep } from '../../src/worker/training/train-step.js';
import { roundToBfloat16 } from '../support/bfloat16.js';
import { convolveDirectly, outputShapeOf, type ConvolutionShape } from '../support/direct-convolution.js';
import { alone, engineFor, syntheticData } from '../support/in-process.js';

const { tf, memory } = await engineFor('tensorflow');

const shapes: readonly ConvolutionShape[] = [
  { x: [2, 7, 6, 1], filter: [3, 3, 1, 8], window: windowOf('same') },
  { x: [2, 7, 6, 3], filter: [3, 3, 3, 5], window: windowOf('valid', 2) },
  { x: [1, 9, 8, 3], filter: [3, 3, 3, 4], window: windowOf('valid', 1, 2) },
  { x: [3, 5, 5, 17], filter: [1, 1, 17, 3], window: windowOf('same') },
  { x: [2, 8, 9, 1], filter: [5, 5, 1, 6], window: windowOf('same') },
  { x: [2, 8, 9, 8], filter: [5, 5, 8, 2], window: windowOf('same', 2) },
];

function windowOf(padding: ConvWindow['padding'], stride = 1, dilation = 1): ConvWindow {
  return { strides: [stride, stride], padding, dilations: [dilation, dilation] };
}

describe('convolutions in bfloat16 that TensorFlow computes', () => {
  it('multiply operands that are rounded to bfloat16, in float32, forward and backward', () => {
    const kernels = new TensorflowKernels(tf, memory, 'bfloat16');
    for (const shape of shapes) {
      const before = tf.memory().numTensors;
      tf.tidy(() => {
        const convolution = { filterShape: shape.filter, window: shape.window };
        const random = (size: readonly [number, number, number, number], seed: number) =>
          tf.randomNormal<Rank.R4>([...size], 0, 1, 'float32', seed);
        const [x, filter, dy] = [
          random(shape.x, 1),
          random(shape.filter, 2),
          random(outputShapeOf(shape), 3),
        ];
        const operands = [x, filter, dy].map((tensor) => kernels.operand(tensor, convolution));
        const [a, f, g] = operands as [Tensor4D, Tensor4D, Tensor4D];
        const rounded = [x, filter, dy].map((tensor) =>
          tensor.dataSync<'float32'>().map(roundToBfloat16),
        ) as [Float32Array, Float32Array, Float32Array];
        expect(operands.map((tensor) => tensor.dataSync<'float32'>())).toEqual(rounded);
        const expected = convolveDirectly(shape, ...rounded);
        const results = {
          y: kernels.conv2d(a, f, shape.window),
          dx: kernels.conv2dInputGradient(shape.x, f, g, shape.window),
          dfilter: kernels.conv2dFilterGradient(a, shape.filter, g, shape.window),
        };
        for (const name of ['y', 'dx', 'dfilter'] as const) {
          const got = results[name].dataSync<'float32'>();
          const largest = Math.max(...expected[name].map(Math.abs));
          const distance = Math.max(...expected[name].map((value, i) => Math.abs(value - (got[i] ?? NaN))));
          // A few units in the last place of a float32; one rounding to bfloat16 is 2e-3.
          expect(distance / largest, `${name} of ${JSON.stringify(shape)}`).toBeLessThan(2e-6);
        }
      });
      expect(tf.memory().numTensors).toBe(before);
    }
  });

  it('are never computed by a bfloat16 op of TensorFlow while a model trains', async () => {
    const engine = await engineFor('tensorflow');
    const model = ({ tf }: ModelContext): LayersModel => {
      const { conv2d } = tf.layers;
      const layers = [
        tf.layers.reshape({ inputShape: [8, 8, 1], targetShape: [8, 8, 1] }),
        conv2d({ filters: 3, kernelSize: 5, padding: 'same', activation: 'relu' }),
        conv2d({ filters: 8, kernelSize: 3, padding: 'same', trainable: false }),
        conv2d({ filters: 8, kernelSize: 3, dilationRate: 2, padding: 'same' }),
        conv2d({ filters: 16, kernelSize: 1 }),
        conv2d({ filters: 16, kernelSize: 3, padding: 'same' }),
        conv2d({ filters: 4, kernelSize: 3, strides: 2, padding: 'same', activation: 'relu' }),
        tf.layers.flatten(),
        tf.layers.dense({ units: 10 }),
      ];
      return tf.sequential({ layers });
    };
    const config = { batchSize: 12, shards: 2, seed: 3, precision: 'bfloat16' } as const;
    const context = await alone(engine, model, config, syntheticData(24));
    trainStep(context, context.sampler.plan(1));
    const before = tf.memory().numTensors;
    const ops = recordOps(tf, () => trainStep(context, context.sampler.plan(2)));
    expect(tf.memory().numTensors).toBe(before);
    const typesOf = (name: string): unknown[] =>
      ops
        .filter((op) => op.name === name)
        .map(({ attributes }) => attributes.find((attribute) => attribute.name === 'T')?.value);
    expect(typesOf('Conv2D').length).toBeGreaterThanOrEqual(2 * 5);
    expect(typesOf('Conv2DBackpropFilter').length).toBeGreaterThanOrEqual(2 * 4);
    expect(typesOf('Conv2DBackpropInput').length).toBeGreaterThanOrEqual(2 * 4);
    const convolutions = ops.map(({ name }) => name).filter((name) => name.startsWith('Conv2D'));
    expect(convolutions.flatMap(typesOf).filter((type) => type !== dtypes.float32)).toEqual([]);
    const casts = ops.filter(({ name }) => name === 'Cast').flatMap(({ attributes }) => attributes);
    expect(casts.filter(({ name, value }) => name === 'DstT' && value === dtypes.bfloat16)).not.toEqual([]);
  });
});
