import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type * as tfjs from '@tensorflow/tfjs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ModelError } from '../../src/shared/errors.js';
import { checkSavable, layerPaths, weightPaths, weightsOf } from '../../src/worker/executor/model-weights.js';
import { exportModel } from '../../src/worker/export/export-model.js';
import { openModel, readModelFiles } from '../../src/worker/model-files/load-model.js';
import { saveModel } from '../../src/worker/model-files/save-model.js';
import { topologyOf } from '../../src/worker/model-files/topology.js';
import { modelWarnings } from '../../src/worker/training/model-warnings.js';

const tf = createRequire(import.meta.url)('@tensorflow/tfjs') as typeof tfjs;
const { layers } = tf;

let folder: string;
beforeEach(async () => {
  await tf.setBackend('cpu');
  folder = await mkdtemp(join(tmpdir(), 'lockstep-paths-'));
});
afterEach(async () => rm(folder, { recursive: true, force: true }));

const dense = (name: string, options: object = {}): tfjs.layers.Layer =>
  layers.dense({ units: 2, name, inputShape: [2], ...options });
const block = (name: string, ...inner: tfjs.layers.Layer[]): tfjs.Sequential =>
  tf.sequential({ name, layers: inner.length > 0 ? inner : [dense('fc')] });
const functional = (name: string, layer: tfjs.layers.Layer): tfjs.LayersModel => {
  const x = tf.input({ shape: [2], name: `${name}_in` });
  return tf.model({ name, inputs: x, outputs: layer.apply(x) as tfjs.SymbolicTensor });
};
const wrapped = (name: string, layer: tfjs.layers.Layer): tfjs.layers.Layer =>
  layers.timeDistributed({ layer, name, inputShape: [3, 2] });

/** A custom layer whose two dense layers are built in its own scope, as tfjs's own attention examples do. */
class TwoInside extends layers.Layer {
  static className = 'TwoInside';
  readonly first = layers.dense({ units: 2, activation: 'tanh' });
  readonly second = layers.dense({ units: 2 });
  override build(shape: tfjs.Shape): void {
    for (const inner of [this.first, this.second]) {
      inner.build(shape);
      this._trainableWeights.push(...inner.trainableWeights);
    }
    super.build(shape);
  }
  override call(inputs: tfjs.Tensor | tfjs.Tensor[]): tfjs.Tensor {
    const [x] = [inputs].flat();
    return this.second.call(this.first.call(x!, {}), {}) as tfjs.Tensor;
  }
  override computeOutputShape(shape: tfjs.Shape): tfjs.Shape {
    return shape;
  }
}
tf.serialization.registerClass(TwoInside);

const pair = (layer: string): string[] => [`${layer}/kernel`, `${layer}/bias`];

/** Models, and the names of their weights. */
const models: Record<string, [() => tfjs.LayersModel, string[]]> = {
  'unique layers': [
    () => tf.sequential({ layers: [block('b'), dense('out')] }),
    [...pair('fc'), ...pair('out')],
  ],
  'two blocks with a layer of one name': [
    () => tf.sequential({ layers: [block('b1'), block('b2'), dense('out')] }),
    [...pair('b1/fc'), ...pair('b2/fc'), ...pair('out')],
  ],
  'a block with a layer named as one outside': [
    () => tf.sequential({ layers: [dense('in'), block('b'), dense('fc')] }),
    [...pair('in'), ...pair('b/fc'), ...pair('fc')],
  ],
  'blocks in blocks': [
    () => tf.sequential({ layers: [block('outer1', block('b')), block('outer2', block('b'))] }),
    [...pair('outer1/b/fc'), ...pair('outer2/b/fc')],
  ],
  'functional blocks': [
    () => {
      const x = tf.input({ shape: [2] });
      const [left, right] = ['b1', 'b2'].map((name) =>
        functional(name, dense('fc', { inputShape: undefined })),
      );
      const y = right!.apply(left!.apply(x));
      return tf.model({ inputs: x, outputs: y as tfjs.SymbolicTensor });
    },
    [...pair('b1/fc'), ...pair('b2/fc')],
  ],
  'a block that is added twice': [
    () => {
      const b = block('b');
      return tf.sequential({ layers: [b, b, dense('out')] });
    },
    [...pair('fc'), ...pair('out')],
  ],
  'a layer that is added twice': [
    () => {
      const d = dense('d');
      return tf.sequential({ layers: [d, dense('e'), d] });
    },
    [...pair('d'), ...pair('e')],
  ],
  'one layer in two blocks, with another one of its name': [
    () => {
      const shared = dense('fc', { inputShape: undefined });
      const x = tf.input({ shape: [2] });
      const inner = functional('b1', shared).apply(functional('b2', shared).apply(x));
      const y = block('b3').apply(inner) as tfjs.SymbolicTensor;
      return tf.model({ inputs: x, outputs: y });
    },
    [...pair('b2/fc'), ...pair('b3/fc')],
  ],
  'blocks in TimeDistributed': [
    () => tf.sequential({ layers: [wrapped('t1', block('b')), wrapped('t2', block('b'))] }),
    [...pair('t1/b/fc'), ...pair('t2/b/fc')],
  ],
  'TimeDistributed and Bidirectional in two blocks': [
    () => {
      const rnn = (): tfjs.layers.Layer =>
        layers.bidirectional({
          layer: layers.simpleRNN({ units: 1, returnSequences: true, name: 'r' }),
          mergeMode: 'concat',
          name: 'bi',
        });
      return tf.sequential({
        layers: ['b1', 'b2'].map((name) => block(name, wrapped('td', dense('fc')), rnn())),
      });
    },
    ['b1', 'b2'].flatMap((b) => [
      ...pair(`${b}/td`),
      ...['forward_r', 'backward_r'].flatMap((direction) =>
        ['kernel', 'recurrent_kernel', 'bias'].map((name) => `${b}/bi/${direction}/${name}`),
      ),
    ]),
  ],
};

const openPlain = async (path: string): Promise<tfjs.LayersModel> =>
  tf.loadLayersModel({ load: async () => (await readModelFiles(path)).artifacts });

/** Outputs on fixed inputs, computed by tfjs's own predict. */
const outputs = (model: tfjs.LayersModel): number[] => {
  const [, ...shape] = model.inputs[0]!.shape as number[];
  const size = shape.reduce((product, length) => product * length, 3);
  const x = tf.tensor(
    Array.from({ length: size }, (_, i) => Math.sin(i + 1)),
    [3, ...shape],
  );
  return [...(model.predict(x) as tfjs.Tensor).dataSync()];
};

describe.each(Object.entries(models))('the weights of %s', (_, [build, names]) => {
  it('have unique paths, each once', () => {
    const model = build();
    expect(weightPaths(model)).toEqual(names);
    expect(weightsOf(model)).toHaveLength(names.length);
    expect(new Set(layerPaths(model).values()).size).toBe(layerPaths(model).size);
  });

  it("are found under them in a saved model, which tf.loadLayersModel and Lockstep open with the model's outputs", async () => {
    const model = build();
    await saveModel(model, join(folder, 'model'));
    const { artifacts } = await readModelFiles(folder);
    expect(artifacts.weightSpecs!.map(({ name }) => name)).toEqual(names);
    for (const opened of [await openPlain(folder), await openModel(tf, await readModelFiles(folder))]) {
      expect(outputs(opened)).toEqual(outputs(model));
      expect(opened.outputNames).toEqual(model.outputNames);
      expect(weightPaths(opened)).toEqual(names);
      // A second round changes nothing.
      await saveModel(opened, join(folder, 'again', 'model'));
      expect(outputs(await openPlain(join(folder, 'again')))).toEqual(outputs(model));
    }
  });
});

describe('a custom layer with two weights of one name', () => {
  it('has paths for them, and opens again', async () => {
    const model = functional('m', new TwoInside({ name: 'two' }));
    const names = [...pair('two'), 'two/kernel_1', 'two/bias_1'];
    expect(weightPaths(model)).toEqual(names);
    await saveModel(model, join(folder, 'model'));
    expect(outputs(await openModel(tf, await readModelFiles(folder)))).toEqual(outputs(model));
  });

  it('gives a warning before training, and is not exported for tf.loadLayersModel, which cannot open it', async () => {
    const model = functional('m', new TwoInside({ name: 'two' }));
    const [warning, ...others] = modelWarnings(model, { frozenBatchNorm: 'batch' });
    expect(warning).toMatch(
      'Layer "two": it has several weights of one name, so tf.loadLayersModel cannot open',
    );
    expect(others).toEqual([]);
    const out = join(folder, 'tfjs');
    const options = { format: 'tfjs', layout: 'tfjs', out, version: '0.0.0' } as const;
    await expect(exportModel(model, options)).rejects.toThrow('Export to tfjs: layer "two" (TwoInside)');
    await expect(readFile(join(out, 'model.json'))).rejects.toThrow(/ENOENT/);
    for (const [build] of Object.values(models))
      expect(modelWarnings(build(), { frozenBatchNorm: 'batch' })).toEqual([]);
  });
});

describe('a saved model without paths', () => {
  it("opens with each block's own weights, which are in the model's order", async () => {
    const [build] = models['two blocks with a layer of one name']!;
    const model = build();
    let artifacts: tfjs.io.ModelArtifacts | undefined;
    await model.save({
      save: (saved) => {
        artifacts = saved;
        return Promise.resolve({ modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: 'JSON' } });
      },
    });
    const { weightData, weightSpecs, modelTopology } = artifacts!;
    await writeFile(join(folder, 'weights.bin'), Buffer.from(weightData as ArrayBuffer));
    const weightsManifest = [{ paths: ['weights.bin'], weights: weightSpecs }];
    await writeFile(join(folder, 'model.json'), JSON.stringify({ modelTopology, weightsManifest }));
    expect(outputs(await openModel(tf, await readModelFiles(folder)))).toEqual(outputs(model));
  });

  it('is refused if a weight is missing or has another name or shape', async () => {
    const model = tf.sequential({ layers: [dense('a'), dense('b')] });
    await saveModel(model, join(folder, 'model'));
    const file = join(folder, 'model', 'model.json');
    const text = await readFile(file, 'utf8');
    const refusal = async (json: string): Promise<string> => {
      await writeFile(file, json);
      const error: unknown = await openModel(tf, await readModelFiles(folder)).catch(
        (cause: unknown) => cause,
      );
      expect(error).toBeInstanceOf(ModelError);
      return (error as ModelError).message;
    };
    expect(await refusal(text.replace('"a/kernel"', '"c/kernel"'))).toMatch(
      'expected weight "a/kernel" of shape [2,2], got "c/kernel" of shape [2,2]',
    );
    expect(await refusal(text.replace('"a/kernel","shape":[2,2]', '"a/kernel","shape":[4]'))).toMatch(
      'weight "a/kernel": expected [2,2], got [4]',
    );
  });
});

describe('a layer that a wrapper shares with the model outside', () => {
  it('is refused, since a saved model would separate its weights', () => {
    const shared = dense('fc');
    const twice = tf.sequential({ layers: [wrapped('t1', shared), wrapped('t2', shared)] });
    expect(() => checkSavable(twice)).toThrow('layer "t2" (TimeDistributed) shares weights with layer "t1"');
    const inner = block('b');
    const models = tf.sequential({ layers: [wrapped('t1', inner), wrapped('t2', inner)] });
    expect(() => checkSavable(models)).toThrow(
      'shares weights with layer "t1/b/fc" (Dense) through a wrapper',
    );
    for (const [build] of Object.values(modelsWithoutSharing()))
      expect(() => checkSavable(build())).not.toThrow();
  });
});

const modelsWithoutSharing = (): typeof models => models;

describe("the dashboard's description of a model", () => {
  it('names layers as their weights are named', () => {
    const [build] = models['two blocks with a layer of one name']!;
    expect(
      topologyOf(build())
        .map(({ name }) => name)
        .slice(1),
    ).toEqual(['b1/fc', 'b2/fc', 'out']);
  });
});
