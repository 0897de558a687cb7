/** Two blocks with a layer of one name each, and a block that is added twice, through every command. */
import { writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { readFile } from 'node:fs/promises';
import type * as tfjs from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { checkpointName } from '../../src/shared/checkpoint/manifest.js';
import { decodeSafetensors } from '../../src/shared/checkpoint/safetensors.js';
import { readModelFiles } from '../../src/worker/model-files/load-model.js';
import { lockstep, temporaryFolder, type Ended } from '../support/lockstep.js';

const tf = createRequire(import.meta.url)('@tensorflow/tfjs') as typeof tfjs;

const models = {
  blocks: `tf.sequential({ layers: [block('b1'), block('b2'), tf.layers.dense({ units: 1, name: 'out' })] })`,
  twice: `tf.sequential({ layers: [shared, shared, tf.layers.dense({ units: 1, name: 'out' })] })`,
};
const names = {
  blocks: ['b1/fc/bias', 'b1/fc/kernel', 'b2/fc/bias', 'b2/fc/kernel', 'out/bias', 'out/kernel'],
  twice: ['fc/bias', 'fc/kernel', 'out/bias', 'out/kernel'],
};

const definition = (model: string): string => `
import { defineTraining, samples } from 'lockstep';
const get = (i) => ({ inputs: [[Math.sin(i), Math.cos(i * 2)]], targets: [[Math.sin(i)]] });
const tensor = (shape) => [{ shape, dtype: 'float32' }];
const data = { name: 's', version: '1', inputs: tensor([2]), targets: tensor([1]) };
export default defineTraining({
  data: samples({ ...data, train: { count: 16, get }, test: { count: 4, get } }),
  loss: 'meanSquaredError', metrics: [], optimizer: { kind: 'sgd', learningRate: 0.1, momentum: 0 }, schedule: { kind: 'constant' },
  batchSize: 8, epochs: 2, checkpointEvery: '1steps', engine: 'wasm', shards: 2, threads: 1,
  model: ({ tf }) => {
    const block = (name) =>
      tf.sequential({ name, layers: [tf.layers.dense({ units: 2, name: 'fc', activation: 'tanh', inputShape: [2] })] });
    const shared = block('b');
    return ${model};
  },
});
`;

const finalLoss = ({ stdout, stderr, status }: Ended): number => {
  expect(status, stderr).toBe(0);
  const loss = /"loss":([-\d.e]+)/.exec(
    stdout
      .trim()
      .split('\n')
      .findLast((line) => line.includes('"loss"'))!,
  );
  return Number(loss![1]);
};

describe.each(['blocks', 'twice'] as const)('a model of %s', (kind) => {
  it('resumes with the bits of the undisturbed run, and every reader finds all of its weights', async () => {
    const folder = await temporaryFolder();
    const config = join(folder, 'lockstep.config.mjs');
    await writeFile(config, definition(models[kind]));
    const train = ['train', '--config', config, '--single-process', '--json'];
    const whole = join(folder, 'whole');
    const half = join(folder, 'half');
    const sha = ({ events, stderr, status }: Ended): string => {
      expect(status, stderr).toBe(0);
      return events.flatMap((event) => (event.event === 'done' ? [event.weightsSha256] : []))[0]!;
    };
    const undisturbed = sha(await lockstep([...train, '--out', whole]));
    await lockstep([...train, '--out', half, '--max-steps', '2']);
    const resumed = await lockstep([
      'train',
      '--config',
      config,
      '--resume',
      half,
      '--out',
      half,
      '--max-steps',
      '4',
      '--single-process',
      '--json',
    ]);
    expect(sha(resumed)).toBe(undisturbed);

    const state = await readFile(join(whole, 'checkpoints', checkpointName(4), 'state.safetensors'));
    const checkpoint = decodeSafetensors(state, 'state').tensors;
    expect([...checkpoint.keys()].sort()).toEqual(names[kind]);

    // The saved model, opened by tfjs, has the checkpoint's values under its names.
    await tf.setBackend('cpu');
    const { artifacts } = await readModelFiles(whole);
    const opened = await tf.loadLayersModel({ load: () => Promise.resolve(artifacts) });
    expect(opened.weights.map(({ originalName }) => originalName).sort()).toEqual(names[kind]);
    for (const variable of opened.weights)
      expect(variable.read().dataSync(), variable.originalName).toEqual(
        checkpoint.get(variable.originalName)!.values,
      );

    const weights = join(folder, 'weights.safetensors');
    const exported = await lockstep(['export', whole, '--format', 'safetensors', '--out', weights]);
    expect(exported.status, exported.stderr).toBe(0);
    expect(decodeSafetensors(await readFile(weights), weights).tensors).toEqual(checkpoint);

    // eval agrees with tfjs's own predict.
    const evaluated = await lockstep(['eval', whole, '--config', config, '--engine', 'wasm', '--json']);
    const x = tf.tensor(Array.from({ length: 4 }, (_, i) => [Math.sin(i), Math.cos(i * 2)]));
    const y = tf.tensor(Array.from({ length: 4 }, (_, i) => [Math.sin(i)]));
    const loss = tf.losses.meanSquaredError(y, opened.predict(x) as tfjs.Tensor).dataSync()[0]!;
    expect(finalLoss(evaluated)).toBeCloseTo(loss, 6);
  });
});
