/** A model that tf.keras 2 wrote trains as tfjs trains it. */
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type * as tfjs from '@tensorflow/tfjs';
import { expect, it } from 'vitest';
import { openModel, readModelFiles } from '../../src/worker/model-files/load-model.js';
import { saveModel } from '../../src/worker/model-files/save-model.js';
import { lockstep, temporaryFolder } from '../support/lockstep.js';

const tf = createRequire(import.meta.url)('@tensorflow/tfjs') as typeof tfjs;

const definition = `
import { defineTraining, samples } from 'lockstep';
const get = (i) => ({ inputs: [[Math.sin(i), Math.cos(i * 2), i % 3]], targets: [[Math.sin(i)]] });
const tensor = (shape) => [{ shape, dtype: 'float32' }];
const data = { name: 's', version: '1', inputs: tensor([3]), targets: tensor([1]) };
export default defineTraining({
  data: samples({ ...data, train: { count: 8, get }, test: { count: 4, get } }),
  loss: 'meanSquaredError', metrics: [], optimizer: { kind: 'sgd', learningRate: 0.1, momentum: 0 },
  schedule: { kind: 'constant' }, batchSize: 8, epochs: 1, engine: 'wasm', shards: 2, threads: 1,
  model: ({ loadModel }) => loadModel(process.env.KERAS_MODEL),
});
`;

it("trains one step to tfjs's weights with the axis of a BatchNormalization as a list", async () => {
  await tf.setBackend('cpu');
  const { layers } = tf;
  const kernelInitializer = tf.initializers.glorotNormal({ seed: 5 });
  const model = tf.sequential({
    layers: [
      layers.dense({ units: 4, inputShape: [3], activation: 'tanh', kernelInitializer }),
      layers.batchNormalization({ axis: 1 }),
      layers.dense({ units: 1, kernelInitializer }),
    ],
  });
  const folder = await temporaryFolder();
  const file = await saveModel(model, join(folder, 'keras'));
  const text = await readFile(file, 'utf8');
  expect(text).toContain('"axis":1');
  await writeFile(file, text.replace('"axis":1', '"axis":[1]'));
  const config = join(folder, 'lockstep.config.mjs');
  await writeFile(config, definition);
  const out = join(folder, 'run');
  const args = ['train', '--config', config, '--single-process', '--max-steps', '1', '--out', out];
  const { status, stderr } = await lockstep(args, { env: { KERAS_MODEL: join(folder, 'keras') } });
  expect(status, stderr).toBe(0);

  const rows = Array.from({ length: 8 }, (_, i) => i);
  const x = tf.tensor(rows.map((i) => [Math.sin(i), Math.cos(i * 2), i % 3]));
  const y = tf.tensor(rows.map((i) => [Math.sin(i)]));
  model.compile({ optimizer: tf.train.sgd(0.1), loss: 'meanSquaredError' });
  await model.trainOnBatch(x, y);
  const trained = await openModel(tf, await readModelFiles(out));
  for (const [i, expected] of model.trainableWeights.entries()) {
    const [got, value] = [trained.trainableWeights[i]!.read(), expected.read()] as tfjs.Tensor[];
    const distance = tf.norm(tf.sub(got!, value!)).dataSync()[0]! / tf.norm(value!).dataSync()[0]!;
    expect(distance, expected.originalName).toBeLessThan(1e-5);
  }
});
