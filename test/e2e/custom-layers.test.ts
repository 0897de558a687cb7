/** A model with a layer class of the user's own, in every command that opens a saved model. */
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type * as tfjs from '@tensorflow/tfjs';
import sharp from 'sharp';
import { expect, it } from 'vitest';
import { decodeSafetensors } from '../../src/shared/checkpoint/safetensors.js';
import { Lockstep, lockstep, temporaryFolder } from '../support/lockstep.js';

const tf = createRequire(import.meta.url)('@tensorflow/tfjs') as typeof tfjs;

/** The class is registered by the function that builds the model, with the `tf` that it receives. */
const definition = `
import { defineTraining, samples } from 'lockstep';
const get = (i) => ({ inputs: [Array.from({ length: 64 }, (_, p) => Math.sin(i + p))], targets: [i % 3] });
const data = { name: 's', version: '1', inputs: [{ shape: [8, 8, 1], dtype: 'float32' }] };
export default defineTraining({
  data: samples({
    ...data,
    targets: [{ shape: [], dtype: 'int32', classes: 3 }],
    train: { count: 12, get },
    test: { count: 6, get },
  }),
  batchSize: 6, epochs: 1, engine: 'wasm', shards: 2, threads: 1,
  model: ({ tf }) => {
    class Scaled extends tf.layers.Layer {
      static className = 'Scaled';
      build(shape) {
        this.scale = this.addWeight('scale', [shape.at(-1)], 'float32', tf.initializers.constant({ value: 2 }));
        super.build(shape);
      }
      call(inputs) {
        return tf.mul([inputs].flat()[0], this.scale.read());
      }
      computeOutputShape(shape) {
        return shape;
      }
    }
    tf.serialization.registerClass(Scaled);
    return tf.sequential({
      layers: [tf.layers.flatten({ inputShape: [8, 8, 1] }), new Scaled({ name: 'own' }), tf.layers.dense({ units: 3, name: 'out' })],
    });
  },
});
`;

it('works with --config, and is refused by the name of the layer without', async () => {
  const folder = await temporaryFolder();
  const config = join(folder, 'lockstep.config.mjs');
  await writeFile(config, definition);
  const run = join(folder, 'run');
  const trained = await lockstep(['train', '--config', config, '--single-process', '--out', run]);
  expect(trained.status, trained.stderr).toBe(0);
  // The model alone, as another person receives it.
  const model = join(run, 'model');
  const withConfig = ['--config', config];

  const unknown = await lockstep(['export', model, '--out', join(folder, 'none')]);
  expect(unknown).toMatchObject({ status: 2 });
  expect(unknown.stderr).toMatch(/layer "own" \(Scaled\).* tfjs has no such layer.* --config/);
  const demoWithout = await lockstep(['demo', model]);
  expect(demoWithout).toMatchObject({ status: 2 });
  expect(demoWithout.stderr).toMatch(/layer "own" \(Scaled\)/);

  const weights = join(folder, 'weights.safetensors');
  const exported = await lockstep([
    'export',
    model,
    ...withConfig,
    '--format',
    'safetensors',
    '--out',
    weights,
  ]);
  expect(exported.status, exported.stderr).toBe(0);
  const { tensors } = decodeSafetensors(await readFile(weights), weights);
  expect([...tensors.keys()].sort()).toEqual(['out/bias', 'out/kernel', 'own/scale']);
  const onnx = await lockstep([
    'export',
    model,
    ...withConfig,
    '--format',
    'onnx',
    '--out',
    join(folder, 'm.onnx'),
  ]);
  expect(onnx.stderr).toMatch(/ONNX: layer "own" \(Scaled\)/);

  const picture = join(folder, 'digit.png');
  const strip = { input: Buffer.alloc(4 * 20), raw: { width: 4, height: 20, channels: 1 } } as const;
  const sheet = { create: { width: 28, height: 28, channels: 3, background: 'white' } } as const;
  await sharp(sheet).composite([strip]).png().toFile(picture);
  const predicted = await lockstep(['predict', model, picture, ...withConfig, '--engine', 'wasm', '--json']);
  expect(predicted.status, predicted.stderr).toBe(0);

  // The normalization that was saved with the model takes precedence over the configuration's.
  const normalize = { mean: 0.25, std: 2 };
  await writeFile(
    join(model, 'preprocessing.json'),
    JSON.stringify({
      kind: 'pictures',
      height: 8,
      width: 8,
      channels: 1,
      background: '#ffffff',
      normalize,
      classNames: ['a', 'b', 'c'],
    }),
  );
  const demo = new Lockstep(['demo', model, ...withConfig, '--json']);
  const { url } = await demo.event('demo' as never, () => true);
  const about: unknown = await (await fetch(new URL('about.json', url))).json();
  expect(about).toEqual({ normalize, server: { width: 8, height: 8 } });
  const ink = Float32Array.from({ length: 64 }, (_, i) => (i * 37) % 256);
  const answer = await fetch(new URL('classify', url), { method: 'POST', body: ink });
  const shares = (await answer.json()) as number[];
  // The same from the weights, by hand.
  await tf.setBackend('cpu');
  const tensor = (name: string): tfjs.Tensor => {
    const { values, shape } = tensors.get(name)!;
    return tf.tensor(values, [...shape]);
  };
  const x = tf.tensor(ink, [1, 64]).div(255).sub(normalize.mean).div(normalize.std);
  const logits = x.mul(tensor('own/scale')).matMul(tensor('out/kernel')).add(tensor('out/bias'));
  const expected = [...tf.softmax(logits).dataSync()];
  expect(shares).toHaveLength(3);
  for (const [i, share] of shares.entries()) expect(share).toBeCloseTo(expected[i]!, 5);
  expect((await fetch(new URL('classify', url), { method: 'POST', body: new Float32Array(3) })).status).toBe(
    400,
  );
  expect((await fetch(new URL('classify', url))).status).toBe(405);
  demo.kill('SIGTERM');
  expect(await demo.ended).toMatchObject({ status: 0 });
});
