import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type * as tfjs from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import type { RunEvent } from '../../src/shared/runs/run-events.js';
import { readModelFiles } from '../../src/worker/model-files/load-model.js';
import { lockstep, temporaryFolder, type Ended } from '../support/lockstep.js';

/** Batches of 4 and a last one of a single sample, so that one of two workers has no samples in it. */
const definition = (layers: string): string => `
import { defineTraining, samples } from 'lockstep';

const get = (i) => ({ inputs: [[1 + (i % 3), 1 + (i % 2), i % 2, 0]], targets: [[Math.sin(i)]] });
export default defineTraining({
  data: samples({
    name: 'words',
    version: '1',
    inputs: [{ shape: [4], dtype: 'int32' }],
    targets: [{ shape: [1], dtype: 'float32' }],
    train: { count: 9, get },
    test: { count: 6, get },
  }),
  loss: 'meanSquaredError',
  batchSize: 4,
  epochs: 2,
  model: ({ tf }) => {
    const embedding = tf.layers.embedding({ inputDim: 5, outputDim: 3, inputLength: 4, maskZero: true });
    return tf.sequential({ layers: [embedding, ${layers}, tf.layers.dense({ units: 1 })] });
  },
});
`;

const models = {
  'a layer without an implementation of its own': 'tf.layers.flatten(), tf.layers.leakyReLU()',
  'a mask before a recurrent layer': 'tf.layers.lstm({ units: 4 })',
  'BatchNormalization in TimeDistributed':
    'tf.layers.timeDistributed({ layer: tf.layers.batchNormalization() }), tf.layers.gru({ units: 2 })',
  'Dropout with a seed in TimeDistributed':
    'tf.layers.timeDistributed({ layer: tf.layers.dropout({ rate: 0.5, seed: 3 }) }), tf.layers.flatten()',
  'dropout of a recurrent layer': 'tf.layers.lstm({ units: 2, dropout: 0.3, recurrentDropout: 0.3 })',
};

async function train(
  layers: string,
  ...workers: readonly string[]
): Promise<Ended & { readonly out: string }> {
  const folder = await temporaryFolder();
  const config = join(folder, 'lockstep.config.mjs');
  await writeFile(config, definition(layers));
  const out = join(folder, 'run');
  const fixed = ['--engine', 'wasm', '--shards', '3', '--seed', '1', '--json'];
  return { ...(await lockstep(['train', '--config', config, '--out', out, ...fixed, ...workers])), out };
}

function hashOf({ status, stderr, stdout, events }: Ended): string {
  expect(status, stderr + stdout).toBe(0);
  const done = events.find((event): event is Extract<RunEvent, { event: 'done' }> => event.event === 'done');
  return done?.weightsSha256 ?? 'no end';
}

describe('a model with layers that tfjs computes', () => {
  it.each(Object.entries(models))('has the same bits with 1, 2 and 3 workers: %s', async (_, layers) => {
    const alone = hashOf(await train(layers, '--single-process'));
    for (const workers of ['1', '2', '3'])
      expect(hashOf(await train(layers, '--workers', workers)), `${workers} workers`).toBe(alone);
  });

  it('is evaluated as tfjs evaluates the saved model, masks included', async () => {
    const { events, out } = await train(models['a mask before a recurrent layer'], '--workers', '2');
    const evaluated = events.findLast(
      (event): event is Extract<RunEvent, { event: 'eval' }> =>
        event.event === 'eval' && event.split === 'test',
    );
    const tf = createRequire(import.meta.url)('@tensorflow/tfjs') as typeof tfjs;
    await tf.setBackend('cpu');
    const { artifacts } = await readModelFiles(out);
    const model = await tf.loadLayersModel({ load: () => Promise.resolve(artifacts) });
    model.compile({ loss: 'meanSquaredError', optimizer: 'sgd' });
    const rows = Array.from({ length: 6 }, (_, i) => [1 + (i % 3), 1 + (i % 2), i % 2, 0]);
    const targets = rows.map((_, i) => [Math.sin(i)]);
    const expected = model.evaluate(tf.tensor2d(rows), tf.tensor2d(targets)) as tfjs.Scalar;
    expect(evaluated?.loss).toBeCloseTo(expected.dataSync()[0] ?? NaN, 5);
    expect(JSON.parse(await readFile(join(out, 'model', 'model.json'), 'utf8'))).toHaveProperty(
      'modelTopology',
    );
  });
});
