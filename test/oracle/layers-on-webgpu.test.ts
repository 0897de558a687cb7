import { beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../src/worker/engine/engine.js';
import { innerLayers } from '../../src/worker/executor/inner-layers.js';
import { engineFor } from '../support/in-process.js';
import { gpuTitle, slowGpu } from '../support/software-gpu.js';
import { drawingModels } from '../support/zoo/drawing-models.js';
import { expectGradient, firstGradient, type Gradient } from '../support/zoo/first-gradient.js';
import type { ModelCase } from '../support/zoo/model-case.js';
import { modelCases } from '../support/zoo/model-cases.js';

const all = [...modelCases, ...drawingModels];

/** Together they have every class of layers. A software driver compiles the shaders of a model for seconds. */
const names: readonly string[] = [
  'merge: multiply',
  'merge: minimum',
  'merge: maximum',
  'merge: average',
  'merge: dot, as in a recommender',
  'numbers: bounded ReLU',
  'numbers: scale of the inputs',
  'numbers: PReLU',
  'numbers: ELU',
  'numbers: LayerNormalization without offset',
  'numbers: Softmax in the middle',
  'frozen: a layer in the middle',
  'nested: one block twice',
  'several inputs: numbers, a text and a picture',
  'custom: attention',
  'preprocessing: CategoryEncoding',
  'preprocessing: CenterCrop',
  'text: convolution and maximum',
  'text: masked embedding and GRU',
  'text: mean of embeddings',
  'series: one cell',
  'series: stacked cells',
  'series: one dense layer for all times',
  'series: product of both directions',
  'series: exchanged axes',
  'series: Masking and LSTM',
  'series: RepeatVector as a decoder',
  'series: strided convolution and maximum',
  'pictures: LeNet',
  'pictures: dilated convolutions',
  'pictures: VGG block with BatchNorm',
  'pictures: border, crop and enlargement',
  'pictures: depthwise convolution',
  'pictures: separable convolution',
  'pictures: largest value per channel',
  'pictures: autoencoder',
  'pictures: inception',
  'volumes: 3D convolution and average',
  'volumes: 3D convolution and maximum',
  'video: ConvLSTM2D',
  'random: AlphaDropout',
  'random: GaussianNoise',
  'random: GaussianDropout',
  'random: SpatialDropout1D',
  'random: Dropout in TimeDistributed',
];

/** LOCKSTEP_TEST_MODELS=all runs all models, in minutes. */
const cases =
  process.env['LOCKSTEP_TEST_MODELS'] === 'all' ? all : all.filter(({ name }) => names.includes(name));

describe.skipIf(slowGpu !== undefined)(gpuTitle('each class of layers on the engine webgpu', slowGpu), () => {
  const expected = new Map<string, Gradient>();
  let missing: readonly string[];
  let webgpu: Engine;
  beforeAll(async () => {
    const wasm = await engineFor('wasm');
    const classesOf = (models: readonly ModelCase[]): string[] =>
      models.flatMap(({ build }) => innerLayers(build(wasm.tf)).map((layer) => layer.getClassName()));
    const covered = new Set(classesOf(cases));
    missing = classesOf(all).filter((name) => !covered.has(name));
    for (const one of cases) expected.set(one.name, await firstGradient(wasm, one));
    webgpu = await engineFor('webgpu');
  }, 300_000);

  it('is in one of the models', () => {
    expect(cases.length).toBeGreaterThanOrEqual(names.length);
    expect(missing).toEqual([]);
  });

  it.each(cases.map((one) => [one.name, one] as const))(
    'has the gradients of WebAssembly and equal bits for 1 and 2 workers: %s',
    async (name, modelCase) => {
      expectGradient(await firstGradient(webgpu, modelCase, [1, 2]), expected.get(name) ?? [], 1e-4);
    },
    300_000,
  );
});
