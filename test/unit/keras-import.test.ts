/** Models as converters write them from Keras 2 and 3. Keras's own predictions are in the fixtures; test/oracle/keras3.py wrote them. */
import { cp, readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type * as tfjs from '@tensorflow/tfjs';
import { beforeEach, describe, expect, it } from 'vitest';
import { ModelError } from '../../src/shared/errors.js';
import { openModel, readModelFiles } from '../../src/worker/model-files/load-model.js';
import { saveModel } from '../../src/worker/model-files/save-model.js';
import { temporaryFolder } from '../support/lockstep.js';

const tf = createRequire(import.meta.url)('@tensorflow/tfjs') as typeof tfjs;
const fixtures = fileURLToPath(new URL('../fixtures/keras3/', import.meta.url));
const names = [
  'sequential',
  'pictures',
  'branches',
  'nested',
  'text',
  'masked',
  'translation',
  'cross_attention',
];

interface Predictions {
  readonly inputs: readonly { readonly shape: number[]; readonly values: number[] }[];
  readonly outputs: readonly { readonly shape: number[]; readonly values: number[] }[];
}

interface LayerJson {
  class_name: string;
  module?: string;
  config: Record<string, unknown> & { layers?: LayerJson[]; layer?: LayerJson };
  inbound_nodes?: { args: unknown[]; kwargs: Record<string, unknown> }[];
}
interface ModelJson {
  modelTopology: { model_config: LayerJson };
}

beforeEach(async () => {
  await tf.setBackend('cpu');
});

const open = async (folder: string): Promise<tfjs.LayersModel> => openModel(tf, await readModelFiles(folder));

describe('a model of Keras 3', () => {
  it.each(names)("has Keras's outputs and is the same after it was saved: %s", async (name) => {
    const folder = join(fixtures, name);
    const { inputs, outputs } = JSON.parse(
      await readFile(join(folder, 'predictions.json'), 'utf8'),
    ) as Predictions;
    const saved = await temporaryFolder();
    const first = await open(folder);
    await saveModel(first, join(saved, 'model'));
    for (const model of [first, await open(saved)]) {
      const x = inputs.map(({ values, shape }) => tf.tensor(values, shape));
      const y = [model.predict(x.length > 1 ? x : x[0]!)].flat();
      expect(y.map(({ shape }) => shape)).toEqual(outputs.map(({ shape }) => shape));
      for (const [i, output] of y.entries()) {
        const distances = [...output.dataSync()].map((value, j) => Math.abs(value - outputs[i]!.values[j]!));
        expect(Math.max(...distances)).toBeLessThan(1e-6);
      }
    }
  });

  it('finds the weights under the names of the .keras format: an index in the layer', async () => {
    const folder = await temporaryFolder();
    await cp(join(fixtures, 'sequential'), folder, { recursive: true });
    const file = join(folder, 'model.json');
    const text = await readFile(file, 'utf8');
    const order = ['kernel', 'bias', 'gamma', 'beta', 'moving_mean', 'moving_variance'];
    const indexed = text.replaceAll(/"sequential\/(\w+)\/(\w+)"/g, (_, layer: string, weight: string) => {
      const index = order.indexOf(weight);
      return `"${layer}/${index < 2 ? index : index - 2}"`;
    });
    expect(indexed).toContain('"batch_normalization/3"');
    await writeFile(file, indexed);
    const [expected, got] = [await open(join(fixtures, 'sequential')), await open(folder)];
    const values = (model: tfjs.LayersModel): unknown[] =>
      model.getWeights().map((weight) => weight.arraySync());
    expect(values(got)).toEqual(values(expected));
  });
});

/** Opens a fixture after `change` of its JSON. */
async function changed(name: string, change: (model: LayerJson) => void): Promise<tfjs.LayersModel> {
  const folder = await temporaryFolder();
  await cp(join(fixtures, name), folder, { recursive: true });
  const json = JSON.parse(await readFile(join(folder, 'model.json'), 'utf8')) as ModelJson;
  change(json.modelTopology.model_config);
  await writeFile(join(folder, 'model.json'), JSON.stringify(json));
  return open(folder);
}

const layer = (model: LayerJson, className: string): LayerJson =>
  model.config.layers!.find(({ class_name }) => class_name === className)!;

/** Fields without a counterpart in tfjs: the fixture, the class of the layer, the change, and the reported problem. */
const refusals: [string, string, (changed: LayerJson) => void, RegExp][] = [
  [
    'pictures',
    'Conv2D',
    ({ config }) => (config['groups'] = 2),
    /"conv2d" \(Conv2D\), field "groups": expected 1, .* got 2/,
  ],
  [
    'pictures',
    'GlobalAveragePooling2D',
    ({ config }) => (config['keepdims'] = true),
    /field "keepdims": expected false/,
  ],
  [
    'pictures',
    'Conv2DTranspose',
    ({ config }) => (config['output_padding'] = [1, 1]),
    /field "output_padding"/,
  ],
  [
    'pictures',
    'ReLU',
    ({ config }) => (config['negative_slope'] = 0.1),
    /field "negative_slope": expected 0, .* got 0.1/,
  ],
  [
    'pictures',
    'Conv2D',
    ({ config }) => (config['activation'] = 'leaky_relu'),
    /tfjs has no activation "leaky_relu"/,
  ],
  ['pictures', 'Conv2D', ({ config }) => (config['activation'] = 'hard_sigmoid'), /has the slope 1\/6/],
  [
    'pictures',
    'Conv2D',
    ({ config }) => (config['kernel_regularizer'] = { class_name: 'OrthogonalRegularizer', config: {} }),
    /field "kernel_regularizer": tfjs has no "OrthogonalRegularizer"/,
  ],
  [
    'sequential',
    'Dense',
    ({ config }) => (config['dtype'] = { class_name: 'DTypePolicy', config: { name: 'mixed_float16' } }),
    /"dense" \(Dense\), field "dtype": expected the policy float32, got "mixed_float16"/,
  ],
  [
    'sequential',
    'BatchNormalization',
    ({ config }) => (config['axis'] = [1, 2]),
    /field "axis": expected one axis/,
  ],
  [
    'text',
    'GRU',
    ({ config }) => (config['reset_after'] = true),
    /"gru" \(GRU\), field "reset_after": expected false/,
  ],
  [
    'text',
    'GRU',
    (gru) => (gru.class_name = 'EinsumDense'),
    /\(EinsumDense\), field "class_name": tfjs has no such/,
  ],
  [
    'cross_attention',
    'MultiHeadAttention',
    ({ config }) => (config['attention_axes'] = [1, 2]),
    /\(MultiHeadAttention\), argument "attentionAxes": expected 1 or none, got \[1,2\]/,
  ],
  [
    'cross_attention',
    'MultiHeadAttention',
    ({ config }) => (config['sliding_window'] = 3),
    /\(MultiHeadAttention\), argument "slidingWindow": expected none, since it is not supported, got 3/,
  ],
  [
    'cross_attention',
    'MultiHeadAttention',
    ({ inbound_nodes: [call] = [] }) => (call!.kwargs['attention_mask'] = true),
    /\(MultiHeadAttention\), field "inbound_nodes": the argument "attention_mask" is not supported/,
  ],
  [
    'nested',
    'Sequential',
    ({ inbound_nodes: [call] = [] }) => (call!.kwargs['mask'] = true),
    /tfjs has no argument "mask"/,
  ],
  [
    'branches',
    'Add',
    ({ inbound_nodes: [call] = [] }) => call!.args.push(1),
    /expected one argument .* got several/,
  ],
  [
    'nested',
    'Functional',
    ({ inbound_nodes: [call] = [] }) => (call!.kwargs['training'] = false),
    /"b1" \(Functional\), field "inbound_nodes": it is called with training=false/,
  ],
];

describe('a field that tfjs would ignore or misread', () => {
  it.each(refusals)(
    'is refused by the name of its layer: %s, %s',
    async (name, className, change, problem) => {
      const error: unknown = await changed(name, (model) => change(layer(model, className))).catch(
        (cause: unknown) => cause,
      );
      expect(error).toBeInstanceOf(ModelError);
      expect((error as ModelError).message).toMatch(problem);
    },
  );

  it('is refused in a Bidirectional layer if the model has masks', async () => {
    const embedding = changed('text', (model) => (layer(model, 'Embedding').config['mask_zero'] = true));
    await expect(embedding).rejects.toThrow(/"forward_lstm" \(LSTM\), field "zero_output_for_mask"/);
  });

  it('is refused if it refers to a layer that the model does not have', async () => {
    const rewired = changed('branches', ({ config }) => (config['output_layers'] = [['none', 0, 0]]));
    await expect(rewired).rejects.toThrow(
      /"functional(_\d+)?" uses layer "none": expected a layer of this model/,
    );
  });
});

describe('a nested model of tf.keras 2', () => {
  /** Rewrites the calls of a Keras 3 fixture as tf.keras 2.15 writes them: nested models are counted from their construction. */
  async function keras2(kwargs: object): Promise<tfjs.LayersModel> {
    const folder = await temporaryFolder();
    await cp(join(fixtures, 'nested'), folder, { recursive: true });
    const json = JSON.parse(await readFile(join(folder, 'model.json'), 'utf8')) as ModelJson;
    const { modelTopology } = json;
    Object.assign(modelTopology, { keras_version: '2.15.0' });
    const rewrite = ({ config }: LayerJson): void => {
      const inner = config.layers ?? [];
      const isNested = (name: unknown): boolean =>
        inner.some((each) => each.config['name'] === name && each.config.layers !== undefined);
      const old = (history: unknown[]): unknown[] => [
        history[0],
        Number(history[1]) + (isNested(history[0]) ? 1 : 0),
        history[2],
      ];
      for (const each of inner) {
        rewrite(each);
        const calls = (each.inbound_nodes ?? []) as unknown as {
          args: [{ config: { keras_history: unknown[] } }];
        }[];
        each.inbound_nodes = calls.map(({ args: [tensor] }) => [
          [...old(tensor.config.keras_history), each.config.layers ? kwargs : {}],
        ]) as never;
      }
      for (const field of ['input_layers', 'output_layers'])
        if (Array.isArray(config[field])) config[field] = [old(config[field] as unknown[])];
    };
    rewrite(modelTopology.model_config);
    await writeFile(join(folder, 'model.json'), JSON.stringify(json));
    return open(folder);
  }

  it('has the same outputs as that of Keras 3', async () => {
    const x = tf.tensor([[0.1, -0.2, 0.3, 0.4]]);
    const [got, expected] = [await keras2({}), await open(join(fixtures, 'nested'))].map((model) =>
      (model.predict(x) as tfjs.Tensor).arraySync(),
    );
    expect(got).toEqual(expected);
  });

  it('is refused if it is called with a training argument that changes its result', async () => {
    await expect(keras2({ training: false })).rejects.toThrow(
      /"b1" \(Functional\).* called with training=false/,
    );
  });
});

describe("tf.keras 2's list of one axis", () => {
  it('is the axis of a BatchNormalization, with the same outputs', async () => {
    const axisOf = (model: tfjs.LayersModel): unknown =>
      model.layers.find((found) => found.getClassName() === 'BatchNormalization')!.getConfig()['axis'];
    const model = await changed(
      'sequential',
      (json) => (layer(json, 'BatchNormalization').config['axis'] = [1]),
    );
    expect(axisOf(model)).toBe(1);
    const x = tf.tensor([[1, 2, 3, 4]]);
    const [got, expected] = [model, await open(join(fixtures, 'sequential'))].map((each) =>
      (each.predict(x) as tfjs.Tensor).arraySync(),
    );
    expect(got).toEqual(expected);
  });
});
