import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { holdOut, samples, type DataSource, type SampleSet, type TensorSpec } from '../../src/index.js';
import { runConfigSchema } from '../../src/shared/config/run-config.js';
import { Sampler } from '../../src/shared/data/sampler.js';
import { withTestSet, type TrainingData } from '../../src/shared/data/training-data.js';
import { createAugment } from '../../src/worker/data/augmentation.js';
import { BatchReader, readSamples } from '../../src/worker/data/batch-reader.js';
import { loadData } from '../../src/worker/data/load-data.js';
import { checkAhead, withChecks } from '../../src/worker/data/checked-data.js';

const dense = (units: number): tf.LayersModel =>
  tf.sequential({ layers: [tf.layers.dense({ units, inputShape: [2] })] });
const point: TensorSpec = { shape: [2], dtype: 'float32' };
const label: TensorSpec = { shape: [], dtype: 'int32', classes: 3 };

type Get = Extract<SampleSet, { get: unknown }>['get'];

/** A source whose training samples are right and whose test samples come from `get`. */
const sourceOf = (get: Get, inputs = [point], targets = [label]): DataSource =>
  samples({ name: 's', version: '1', inputs, targets, train: { count: 16, get }, test: { count: 4, get } });

async function check(
  source: DataSource,
  model: tf.LayersModel,
  loss: 'softmaxCrossEntropy' | 'binaryCrossEntropy' | 'meanSquaredError' = 'softmaxCrossEntropy',
): Promise<TrainingData> {
  const data = withChecks(
    withTestSet(await source.load()),
    model,
    runConfigSchema.parse({ workers: 1, loss }),
  );
  await checkAhead(data);
  return data;
}

const withLabel = (value: unknown, at = 5) =>
  sourceOf((i) => ({ inputs: [[i, -i]], targets: [i === at ? (value as number) : i % 3] }));
const withInput = (value: unknown) =>
  sourceOf((i) => ({ inputs: [[i, i === 5 ? (value as number) : 0]], targets: [0] }));

it('something else than a data source is refused by name', async () => {
  const given = { train: { inputs: [] } } as unknown as DataSource;
  const config = { data: null, normalize: { mean: 0, std: 1 } } as Parameters<typeof loadData>[0];
  await expect(loadData(config, given)).rejects.toMatchObject({
    code: 'CONFIG',
    message: expect.stringMatching(
      /^data: expected the result of a function .* got \{ train: \[Object\] \}\.$/,
    ) as string,
  });
});

describe('before the first step', () => {
  it.each<[string, unknown, RegExp]>([
    ['equal to the number of classes', 3, /from 0 to 2, got 3\. Class numbers start at 0: subtract 1/],
    ['below zero', -1, /from 0 to 2, got -1\. Number the classes 0, 1, 2/],
    ['a fraction', 1.5, /from 0 to 2, got 1\.5\./],
    ['NaN', Number.NaN, /from 0 to 2, got NaN\./],
    ['beyond 32 bits', 2 ** 32 + 1, /from 0 to 2, got 4294967297\./],
    ['text', 'a', /from 0 to 2 at position 0, got the text "a"\. Map each label to its number/],
    ['numeric text', '1', /from 0 to 2 at position 0, got the text "1"/],
    ['a boolean', true, /got true \(boolean\)/],
    ['missing', undefined, /got undefined/],
  ])('a class number that is %s is refused with its sample', async (_, value, message) => {
    const error = await check(withLabel(value), dense(3)).then(
      () => undefined,
      (reason: unknown) => reason as Error,
    );
    expect(error?.message).toMatch(/^s, training sample 5, target/);
    expect(error?.message).toMatch(message);
  });

  it.each([
    [Number.NaN, 'NaN'],
    [Number.POSITIVE_INFINITY, 'Infinity'],
    [1e39, 'Infinity'], // beyond float32
  ])('the input value %s is refused with its position', async (value, shown) => {
    await expect(check(withInput(value), dense(3))).rejects.toThrow(
      `s, training sample 5, input at [1]: expected a finite number, got ${shown}. Correct or remove the sample.`,
    );
  });

  it('names the split and the tensor, counted from 1 where there are several', async () => {
    const source = samples({
      name: 's',
      version: '1',
      inputs: [point, { shape: [2, 2], dtype: 'float32' }],
      targets: [label],
      train: {
        count: 3,
        get: () => ({
          inputs: [
            [0, 0],
            [0, 0, 0, 0],
          ],
          targets: [0],
        }),
      },
      test: {
        count: 3,
        get: (i) => ({
          inputs: [
            [0, 0],
            [0, 0, i === 2 ? Number.NaN : 0, 0],
          ],
          targets: [0],
        }),
      },
    });
    const inputs = [tf.input({ shape: [2] }), tf.input({ shape: [2, 2] })];
    const flat = tf.layers.flatten().apply(inputs[1]!) as tf.SymbolicTensor;
    const both = tf.layers.concatenate().apply([inputs[0]!, flat]);
    const model = tf.model({
      inputs,
      outputs: tf.layers.dense({ units: 3 }).apply(both) as tf.SymbolicTensor,
    });
    await expect(check(source, model)).rejects.toThrow(
      's, test sample 2, input 2 at [1, 0]: expected a finite',
    );
  });

  it('class numbers without a declared number of classes are limited by the units of the model', async () => {
    const labels: TensorSpec = { shape: [], dtype: 'int32' };
    const source = sourceOf((i) => ({ inputs: [[0, 0]], targets: [i] }), [point], [labels]);
    await expect(check(source, dense(16))).resolves.toBeDefined();
    await expect(check(source, dense(15))).rejects.toThrow(/training sample 15, target: .* 0 to 14, got 15/);
  });

  it('targets of binaryCrossEntropy are limited to 0 and 1', async () => {
    const one: TensorSpec = { shape: [1], dtype: 'float32' };
    const source = (value: number) =>
      sourceOf(() => ({ inputs: [[0, 0]], targets: [value] }), [point], [one]);
    await expect(check(source(0.5), dense(1), 'binaryCrossEntropy')).resolves.toBeDefined();
    await expect(check(source(2), dense(1), 'binaryCrossEntropy')).rejects.toThrow(
      /sample 0, target: expected a probability from 0 to 1, got 2\. binaryCrossEntropy/,
    );
    await expect(check(source(2), dense(1), 'meanSquaredError')).resolves.toBeDefined();
  });

  it.each<[string, unknown, RegExp]>([
    ['a promise', Promise.resolve(), /got a promise\. Use `generate`/],
    ['nothing', undefined, /expected \{ inputs, targets \}, got undefined/],
    ['a list too few', { inputs: [], targets: [0] }, /expected inputs to be a list of 1, .* got a list of 0/],
    ['no targets', { inputs: [[0, 0]] }, /expected targets to be a list of 1, .* got undefined/],
    ['a list too long', { inputs: [[0, 0, 0]], targets: [0] }, /input: expected 2 numbers \(2\), got 3/],
    ['nested lists', { inputs: [[[0, 0]]], targets: [0] }, /expected 2 numbers \(2\), got 1 lists\. Write/],
    ['text', { inputs: [[0, '7']], targets: [0] }, /expected a number at position 1, got the text "7"/],
    ['null', { inputs: [[0, null]], targets: [0] }, /expected a number at position 1, got null/],
    ['bigints', { inputs: [BigInt64Array.of(0n, 1n)], targets: [0] }, /got 0 \(bigint\)/],
  ])('a sample that is %s is refused', async (_, sample, message) => {
    await expect(
      check(
        sourceOf(() => sample as never),
        dense(3),
      ),
    ).rejects.toThrow(message);
  });

  it('values of the own `fill` of a data source are checked before they are truncated', async () => {
    const own = (write: unknown): DataSource => ({
      load: () => {
        const split = {
          count: 4,
          inputs: [point],
          targets: [label],
          fill: (indices: Int32Array, into: { targets: readonly ArrayLike<number>[] }) => {
            for (const [at, index] of indices.entries())
              (into.targets[0] as number[])[at] = index === 2 ? (write as number) : 1;
          },
        };
        return Promise.resolve({ name: 'own', sha256: '0'.repeat(64), train: split, test: split });
      },
    });
    await expect(check(own(1.5), dense(3))).rejects.toThrow(/own, training sample 2, target: .* got 1\.5/);
    await expect(check(own('a'), dense(3))).rejects.toThrow(/own, training sample 2, target: .* got NaN/);
    const data = await check(own(2), dense(3));
    const { targets } = await readSamples(data.train, Int32Array.of(1, 2));
    expect(targets[0]).toEqual(Int32Array.of(1, 2));
  });

  it('unknown options of a source are refused by name', () => {
    const get: Get = () => ({ inputs: [[0, 0]], targets: [0] });
    const set = { count: 1, get };
    const options = { name: 's', version: '1', inputs: [point], targets: [label], train: set, test: set };
    expect(() => samples({ ...options, shuffle: true } as never)).toThrow(/samples: .* got "shuffle"/);
    expect(() => samples({ ...options, test: { count: 0, get } })).toThrow(/samples: test\.count: .* got 0/);
    expect(() => samples({ ...options, test: { count: 1 } as never })).toThrow(/get and generate, got none/);
    expect(() => holdOut(samples(options), { counts: 1 } as never)).toThrow(/holdOut: .* got "counts"/);
  });
});

describe('indices of an Embedding', () => {
  const tokens: TensorSpec = { shape: [3], dtype: 'int32' };
  const model = (inputDim: number): tf.LayersModel =>
    tf.sequential({
      layers: [
        tf.layers.reshape({ targetShape: [3], inputShape: [3] }),
        tf.layers.embedding({ inputDim, outputDim: 2 }),
        tf.layers.flatten(),
        tf.layers.dense({ units: 3 }),
      ],
    });
  const source = (value: number, spec = tokens) =>
    sourceOf((i) => ({ inputs: [[0, i === 7 ? value : 4, 1]], targets: [0] }), [spec]);

  it.each([
    [
      5,
      /training sample 7, input at \[1\]: expected an index of the model's Embedding from 0 to 4, got 5\. Set/,
    ],
    [-1, /from 0 to 4, got -1\. Indices are whole numbers from 0/],
    [0.5, /from 0 to 4, got 0\.5/],
  ])('are refused if they are %s', async (value, message) => {
    await expect(check(source(value), model(5))).rejects.toThrow(message);
    await expect(check(source(value, { shape: [3], dtype: 'float32' }), model(5))).rejects.toThrow(message);
  });

  it('are limited by the Embedding, also of data whose source has checked them', async () => {
    const verified: DataSource = {
      load: async () => {
        const data = await source(4).load();
        return { ...data, train: { ...data.train, verified: true } };
      },
    };
    await expect(check(verified, model(5))).resolves.toBeDefined();
    const small = await check(verified, model(4)).catch((error: unknown) => error);
    expect(String(small)).toMatch(/test sample 0, input at \[1\]: .* 0 to 3, got 4/);
  });

  it('are limited in a nested model too', async () => {
    const inner = tf.sequential({
      layers: [tf.layers.embedding({ inputDim: 4, outputDim: 2, inputShape: [3] }), tf.layers.flatten()],
    });
    const outer = tf.sequential({ layers: [inner, tf.layers.dense({ units: 3 })] });
    await expect(check(source(2), outer)).rejects.toThrow(/0 to 3, got 4/);
  });
});

describe('samples that are read during training', () => {
  it('are checked when they are read, without reading all of them before', async () => {
    const read: number[] = [];
    const source = samples({
      name: 'slow',
      version: '1',
      inputs: [point],
      targets: [label],
      train: {
        count: 100,
        async *generate(indices) {
          for (const index of indices) {
            read.push(index);
            await Promise.resolve();
            yield { inputs: [[0, 0]], targets: [index === 7 ? 3 : 0] };
          }
        },
      },
      test: { count: 1, get: () => ({ inputs: [[0, 0]], targets: [0] }) },
    });
    const { train } = await check(source, dense(3));
    expect(read).toEqual([0]);
    await expect(readSamples(train, Int32Array.of(3, 7))).rejects.toThrow(/slow, training sample 7, target/);
  });

  it('are checked after the functions of the definition have changed them', async () => {
    const { train } = await check(withLabel(0), dense(3));
    const augment = createAugment({ seed: 1, augment: [{ kind: 'custom' }] }, train, [
      ({ inputs, index }) => {
        if (index === 3) (inputs[0] as Float32Array)[1] = Number.NaN;
      },
    ]);
    const sampler = new Sampler({ seed: 1, count: 16, batchSize: 16, shards: 1 });
    const reader = new BatchReader(train, sampler, augment);
    expect(() => reader.samplesAt(sampler.plan(1), { start: 0, end: 16 })).toThrow(
      /augment: training sample 3, input 1, value 1: expected a finite number .*, got NaN\. Correct the function/,
    );
  });
});
