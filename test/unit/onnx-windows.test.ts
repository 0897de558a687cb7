/** Convolutions and poolings in ONNX over kernels, strides, dilations, paddings and sizes: onnxruntime against tfjs's own predict. */
import { access, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type * as tfjs from '@tensorflow/tfjs';
import * as ort from 'onnxruntime-web';
import { beforeAll, describe, expect, it } from 'vitest';
import { exportModel } from '../../src/worker/export/export-model.js';
import { scatter } from '../support/exported-model.js';
import { temporaryFolder } from '../support/lockstep.js';

const tf = createRequire(import.meta.url)('@tensorflow/tfjs') as typeof tfjs;
const { layers } = tf;

beforeAll(async () => {
  await tf.setBackend('cpu');
  ort.env.wasm.numThreads = 1;
});

type Size = [number, number];
const sizes: Size[] = [
  [7, 8],
  [9, 6],
];
const paddings = ['same', 'valid'] as const;

/** A model of one layer for pictures of two channels; the sizes of its input may be open. */
function modelOf(layer: tfjs.layers.Layer, shape: (number | null)[]): tfjs.LayersModel {
  const x = tf.input({ shape: [...shape, 2] });
  const model = tf.model({ inputs: x, outputs: layer.apply(x) as tfjs.SymbolicTensor });
  scatter(tf, model);
  return model;
}

/** Exports the model, runs it in onnxruntime, and returns the largest distance from tfjs's outputs. */
async function distance(model: tfjs.LayersModel, shape: number[]): Promise<number> {
  const path = join(await temporaryFolder(), 'model.onnx');
  await exportModel(model, { format: 'onnx', layout: 'tfjs', out: path, version: '0.0.0' });
  const session = await ort.InferenceSession.create(await readFile(path));
  const x = tf.randomNormal([2, ...shape, 2], 0, 1, 'float32', 5);
  const feeds = { [model.inputNames[0]!]: new ort.Tensor('float32', x.dataSync<'float32'>(), x.shape) };
  const answers = await session.run(feeds);
  await session.release();
  const expected = model.predict(x) as tfjs.Tensor;
  const got = answers[model.outputNames[0]!]!;
  expect(got.dims).toEqual(expected.shape);
  const values = got.data as Float32Array;
  return Math.max(...[...expected.dataSync()].map((value, i) => Math.abs(value - values[i]!)));
}

/** Strides and dilations, of which tfjs permits one at a time. */
const steps: { strides?: Size; dilationRate?: Size }[] = [
  {},
  { strides: [2, 2] },
  { strides: [3, 3] },
  { strides: [1, 3] },
  { dilationRate: [2, 2] },
  { dilationRate: [3, 1] },
];
const kernels: Size[] = [
  [1, 1],
  [2, 2],
  [3, 3],
  [3, 2],
];

const convolutions = sizes.flatMap((size) =>
  paddings.flatMap((padding) =>
    kernels.flatMap((kernelSize) => steps.map((step) => ({ size, padding, kernelSize, ...step }))),
  ),
);
const poolings = sizes.flatMap((size) =>
  paddings.flatMap((padding) =>
    kernels.slice(1).flatMap((poolSize) =>
      ([1, 2, 3, 4] as const).map(
        (stride): { size: Size; padding: 'same' | 'valid'; poolSize: Size; strides: Size } => ({
          size,
          padding,
          poolSize,
          strides: [stride, stride],
        }),
      ),
    ),
  ),
);

describe('onnxruntime', () => {
  it('has the outputs of tfjs for every convolution', async () => {
    for (const { size, ...options } of convolutions) {
      const model = modelOf(layers.conv2d({ filters: 3, ...options }), size);
      expect(await distance(model, size), JSON.stringify({ size, ...options })).toBeLessThan(1e-5);
    }
  });

  it.each(['max', 'average'] as const)('has the outputs of tfjs for every %s pooling', async (kind) => {
    for (const { size, ...options } of poolings) {
      const layer = kind === 'max' ? layers.maxPooling2d(options) : layers.averagePooling2d(options);
      const model = modelOf(layer, size);
      expect(await distance(model, size), JSON.stringify({ size, ...options })).toBeLessThan(1e-5);
    }
  });

  it('has the outputs of tfjs for every depthwise, separable and transposed convolution', async () => {
    for (const { size, ...options } of convolutions) {
      const isDilated = 'dilationRate' in options;
      const each = [
        layers.separableConv2d({ filters: 3, depthMultiplier: 2, ...options }),
        ...(isDilated ? [] : [layers.depthwiseConv2d({ depthMultiplier: 2, ...options })]),
        ...(isDilated ? [] : [layers.conv2dTranspose({ filters: 3, ...options })]),
      ];
      for (const layer of each) {
        const about = JSON.stringify({ layer: layer.getClassName(), size, ...options });
        expect(await distance(modelOf(layer, size), size), about).toBeLessThan(1e-5);
      }
    }
  });

  it('has the outputs of tfjs for every convolution and pooling of sequences', async () => {
    for (const length of [7, 8])
      for (const padding of paddings)
        for (const size of [1, 2, 3])
          for (const step of [{}, { strides: 2 }, { strides: 3 }, { dilationRate: 2 }]) {
            const strides = step.strides ?? 1;
            const each = [
              layers.conv1d({ filters: 3, kernelSize: size, padding, activation: 'tanh', ...step }),
              layers.maxPooling1d({ poolSize: size, strides, padding }),
              layers.averagePooling1d({ poolSize: size, strides, padding }),
            ];
            for (const layer of each) {
              const about = JSON.stringify({ layer: layer.getClassName(), length, padding, size, ...step });
              expect(await distance(modelOf(layer, [length]), [length]), about).toBeLessThan(1e-5);
            }
          }
  });

  it('has the outputs of tfjs for every global pooling', async () => {
    for (const layer of [layers.globalMaxPooling2d({}), layers.globalAveragePooling2d({})])
      expect(await distance(modelOf(layer, [7, 8]), [7, 8]), layer.name).toBeLessThan(1e-5);
    for (const layer of [layers.globalMaxPooling1d({}), layers.globalAveragePooling1d({})])
      expect(await distance(modelOf(layer, [7]), [7]), layer.name).toBeLessThan(1e-5);
  });

  it('has the outputs of tfjs for pictures of any size, where it can compute the padding', async () => {
    for (const options of [{ dilationRate: 2 }, { strides: 2 }, { strides: 3 }]) {
      const model = modelOf(layers.conv2d({ filters: 3, kernelSize: 3, padding: 'same', ...options }), [
        null,
        null,
      ]);
      for (const size of sizes)
        expect(await distance(model, size), JSON.stringify(options)).toBeLessThan(1e-5);
    }
  });
});

describe('a padding that onnxruntime cannot compute', () => {
  it('is refused with the name of the layer, and no file is written', async () => {
    const layer = layers.maxPooling2d({ poolSize: 2, strides: 3, padding: 'same', name: 'pool' });
    const model = modelOf(layer, [null, 8]);
    const out = join(await temporaryFolder(), 'model.onnx');
    await expect(
      exportModel(model, { format: 'onnx', layout: 'tfjs', out, version: '0.0.0' }),
    ).rejects.toThrow(
      /ONNX: layer "pool": expected an input of fixed height and width, got .* strides beyond the kernel/,
    );
    await expect(access(out)).rejects.toThrow(/ENOENT/);
  });
});

describe('a layer that a format cannot represent', () => {
  const refusals: [string, 'onnx' | 'savedmodel', () => tfjs.LayersModel, RegExp][] = [
    [
      'a dilation that tfjs ignores',
      'onnx',
      () => modelOf(layers.depthwiseConv2d({ kernelSize: 3, dilationRate: 2, name: 'deep' }), [7, 8]),
      /layer "deep" \(DepthwiseConv2D\): tfjs ignores its dilationRate/,
    ],
    [
      'a sequence of any length',
      'onnx',
      () => modelOf(layers.conv1d({ filters: 2, kernelSize: 3, name: 'conv' }), [null]),
      /layer "conv" \(Conv1D\): it needs an input of fixed sizes/,
    ],
    [
      'a depthwise convolution with different strides',
      'savedmodel',
      () =>
        modelOf(layers.separableConv2d({ filters: 2, kernelSize: 3, strides: [1, 2], name: 'sep' }), [7, 8]),
      /SavedModel: layer "sep\/depthwise": expected equal strides, got 1 x 2/,
    ],
    [
      'a transposed convolution',
      'savedmodel',
      () => modelOf(layers.conv2dTranspose({ filters: 2, kernelSize: 3, name: 'up' }), [7, 8]),
      /layer "up" \(Conv2DTranspose\): the format cannot represent its output size/,
    ],
  ];
  it.each(refusals)('is refused by name, and no file is written: %s', async (_, format, make, reason) => {
    const out = join(await temporaryFolder(), 'out');
    await expect(exportModel(make(), { format, layout: 'tfjs', out, version: '0.0.0' })).rejects.toThrow(
      reason,
    );
    await expect(access(out)).rejects.toThrow(/ENOENT/);
  });
});

describe('layers of one name in two blocks, and a layer that is called twice', () => {
  it('have their own weights in the file, under the names of checkpoints, each once', async () => {
    const block = (name: string): tfjs.Sequential =>
      tf.sequential({ name, layers: [layers.dense({ units: 2, name: 'fc', inputShape: [2] })] });
    const b1 = block('b1');
    const x = tf.input({ shape: [2] });
    const y = block('b2').apply(b1.apply(b1.apply(x))) as tfjs.SymbolicTensor;
    const model = tf.model({ inputs: x, outputs: y });
    scatter(tf, model);
    const path = join(await temporaryFolder(), 'model.onnx');
    await exportModel(model, { format: 'onnx', layout: 'tfjs', out: path, version: '0.0.0' });
    const file = (await readFile(path)).toString('latin1');
    for (const name of ['b1/fc/kernel', 'b1/fc/bias', 'b2/fc/kernel', 'b2/fc/bias'])
      expect(file).toContain(name);
    expect(file).not.toContain('kernel_1');
    const session = await ort.InferenceSession.create(await readFile(path));
    const input = new ort.Tensor('float32', Float32Array.of(0.5, -1), [1, 2]);
    const answers = await session.run({ [model.inputNames[0]!]: input });
    await session.release();
    const expected = (model.predict(tf.tensor([[0.5, -1]])) as tfjs.Tensor).dataSync();
    const got = answers[model.outputNames[0]!]!.data as Float32Array;
    for (const [i, value] of expected.entries()) expect(got[i]).toBeCloseTo(value, 5);
  });
});
