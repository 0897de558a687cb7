import { mkdir, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type * as tfjs from '@tensorflow/tfjs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { modelFolder } from '../../src/shared/artefacts/artefact.js';
import { ModelError } from '../../src/shared/errors.js';
import { openModel, readModelFiles } from '../../src/worker/model-files/load-model.js';
import { saveModel } from '../../src/worker/model-files/save-model.js';
import { thrownBy } from '../support/idx-files.js';

const tf = createRequire(import.meta.url)('@tensorflow/tfjs') as typeof tfjs;

/** 3 -> 4 -> 2: a BatchNorm and two Dense layers, 16 + 16 + 10 weights. */
function smallModel(): tfjs.LayersModel {
  const { layers } = tf;
  const model = tf.sequential({
    layers: [
      layers.dense({
        units: 4,
        inputShape: [3],
        kernelInitializer: tf.initializers.glorotNormal({ seed: 5 }),
      }),
      layers.batchNormalization(),
      layers.dense({ units: 2, kernelInitializer: tf.initializers.glorotNormal({ seed: 6 }) }),
    ],
  });
  // Away from what its initializers give by themselves.
  model.setWeights(model.getWeights().map((weight, i) => weight.add(0.1 * (i + 1))));
  return model;
}
const weightBytes = (16 + 16 + 10) * 4;

interface ModelJson {
  modelTopology?: object;
  weightsManifest: { paths: string[]; weights: { name: string; shape: number[]; dtype: string }[] }[];
}

let out: string;
let json: ModelJson;
const modelFile = (): string => join(out, 'model', 'model.json');
const weightsFile = (): string => join(out, 'model', 'weights.bin');

beforeEach(async () => {
  await tf.setBackend('cpu');
  out = await mkdtemp(join(tmpdir(), 'lockstep-model-'));
  await saveModel(smallModel(), join(out, modelFolder));
  json = JSON.parse(await readFile(modelFile(), 'utf8')) as ModelJson;
});
afterEach(async () => rm(out, { recursive: true, force: true }));

const outputs = (model: tfjs.LayersModel): Float32Array =>
  (model.predict(tf.tensor2d([0.5, -1, 2], [1, 3])) as tfjs.Tensor).dataSync<'float32'>();

describe('a topology', () => {
  it('is refused before memory is allocated if its layers have more weights than the file', async () => {
    // 3 x 2^36 numbers, for which no memory would suffice.
    const text = (await readFile(modelFile(), 'utf8')).replace('"units":4', `"units":${2 ** 36}`);
    expect(text).toContain(String(2 ** 36));
    await writeFile(modelFile(), text);
    const files = await readModelFiles(out);
    const { numTensors } = tf.memory();
    await expect(openModel(tf, files)).rejects.toThrow(
      /expected layers with the 42 elements of the weights in the file, got more at "dense_.*\[3, 68719476736\]/,
    );
    expect(tf.memory().numTensors).toBe(numTensors);
  });
});

describe('a saved model', () => {
  it("opens from the run's folder, the model's folder or model.json, with the same outputs", async () => {
    for (const path of [out, join(out, 'model'), modelFile()]) {
      const model = await openModel(tf, await readModelFiles(path));
      expect(outputs(model)).toEqual(outputs(smallModel()));
    }
  });

  it('opens if its weights are in several files, as other programs write them', async () => {
    const weights = await readFile(weightsFile());
    await writeFile(join(out, 'model', 'shard1'), weights.subarray(0, 100));
    await mkdir(join(out, 'model', 'more'));
    await writeFile(join(out, 'model', 'more', 'shard2'), weights.subarray(100));
    json.weightsManifest[0]!.paths = ['shard1', 'more/shard2'];
    await writeFile(modelFile(), JSON.stringify(json));
    expect(outputs(await openModel(tf, await readModelFiles(out)))).toEqual(outputs(smallModel()));
  });
});

/** Damage to the saved model, and what the refusal must say. */
const damages: Record<string, [() => Promise<void>, RegExp]> = {
  'weights that end early': [
    () => truncate(weightsFile(), weightBytes - 1),
    new RegExp(`expected ${weightBytes} bytes of weights, got ${weightBytes - 1} in .*weights\\.bin`),
  ],
  'weights with bytes left over': [
    () => truncate(weightsFile(), weightBytes + 4),
    new RegExp(`expected ${weightBytes} bytes of weights, got ${weightBytes + 4}`),
  ],
  'no weights': [() => rm(weightsFile()), /weights\.bin can't be read \(ENOENT\)/],
  'a folder in the place of its weights': [
    async () => {
      await rm(weightsFile());
      await mkdir(weightsFile());
    },
    /weights\.bin: expected a regular file/,
  ],
  'a path that leads out of its folder': [
    () => {
      json.weightsManifest[0]!.paths = ['../../weights.bin'];
      return writeFile(modelFile(), JSON.stringify(json));
    },
    /expected weights beside it, got the path "\.\.\/\.\.\/weights\.bin"/,
  ],
  'an absolute path': [
    () => {
      json.weightsManifest[0]!.paths = ['/dev/zero'];
      return writeFile(modelFile(), JSON.stringify(json));
    },
    /expected weights beside it, got the path "\/dev\/zero"/,
  ],
  'weights larger than any machine': [
    () => {
      json.weightsManifest[0]!.weights[0]!.shape = [2 ** 40, 2 ** 40];
      return writeFile(modelFile(), JSON.stringify(json));
    },
    new RegExp(`expected at most \\d+ bytes of weights, got ${weightBytes}`),
  ],
  'an unknown dtype': [
    () => {
      json.weightsManifest[0]!.weights[0]!.dtype = 'float128';
      return writeFile(modelFile(), JSON.stringify(json));
    },
    /at "weightsManifest\.0\.weights\.0\.dtype"/,
  ],
  'no topology': [
    () => {
      delete json.modelTopology;
      return writeFile(modelFile(), JSON.stringify(json));
    },
    /at "modelTopology"/,
  ],
  'half of its JSON': [() => truncate(modelFile(), 100), /expected JSON, got other text/],
};

describe('a damaged model is refused with the file, the expected and the actual value:', () => {
  it.each(Object.keys(damages))('%s', async (name) => {
    const [damage, message] = damages[name]!;
    await damage();
    const error = await thrownBy(() => readModelFiles(out));
    expect(error).toBeInstanceOf(ModelError);
    expect((error as ModelError).message).toMatch(message);
    expect((error as ModelError).message).toContain(out);
  });

  it('a topology that tfjs does not know', async () => {
    const topology = JSON.stringify(json.modelTopology).replace('BatchNormalization', 'Renormalization');
    await writeFile(modelFile(), JSON.stringify({ ...json, modelTopology: JSON.parse(topology) as object }));
    const files = await readModelFiles(out);
    await expect(openModel(tf, files)).rejects.toThrow(/model\.json can't be loaded: .*Renormalization/);
  });
});
