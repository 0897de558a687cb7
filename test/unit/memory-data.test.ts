import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { arrays } from '../../src/api/data/arrays.js';
import { holdOut } from '../../src/api/data/hold-out.js';
import { samples } from '../../src/api/data/samples.js';
import { fromDataset, tensors } from '../../src/api/data/tensors.js';
import { runConfigSchema, type RunConfigInput } from '../../src/shared/config/run-config.js';
import { Sampler } from '../../src/shared/data/sampler.js';
import { withTestSet, type DataSplit, type SourceData } from '../../src/shared/data/training-data.js';
import { checkData } from '../../src/worker/data/check-data.js';
import { checkSamples } from '../../src/worker/data/load-data.js';
import { readSamples } from '../../src/worker/data/batch-reader.js';

/** The inputs and targets of some samples. */
async function read(split: DataSplit | undefined, ...indices: number[]): Promise<[number[], number[]]> {
  const { inputs, targets } = await readSamples(split as DataSplit, Int32Array.from(indices));
  return [[...inputs[0]!], [...targets[0]!]];
}

const inputs = [
  [1, 2],
  [3, 4],
  [5, 6],
];
const load = (source: { load(): Promise<SourceData> }): Promise<SourceData> => source.load().then(checkData);

describe('data sets in memory', () => {
  it('are read from lists, with class numbers or one-hot targets', async () => {
    const numbers = await load(arrays({ inputs, targets: [2, 0, 1], classes: 3 }));
    expect(numbers.train.inputs).toEqual([{ shape: [2], dtype: 'float32' }]);
    expect(numbers.train.targets).toEqual([{ shape: [], dtype: 'int32', classes: 3 }]);
    expect(await read(numbers.train, 2, 0)).toEqual([
      [5, 6, 1, 2],
      [1, 2],
    ]);
    expect(numbers.test).toBeUndefined();
    const targets = [
      [0, 0, 1],
      [1, 0, 0],
      [0, 1, 0],
    ];
    const oneHot = await load(
      arrays({ inputs, targets, classes: 3, test: { inputs: [[7, 8]], targets: [[1, 0, 0]] } }),
    );
    expect(await read(oneHot.train, 0, 1, 2)).toEqual([inputs.flat(), [2, 0, 1]]);
    expect(await read(oneHot.test, 0)).toEqual([[7, 8], [0]]);
    const typed = await load(arrays({ inputs, targets: Int32Array.of(2, 0, 1), classes: 3 }));
    expect(typed.sha256).toBe(numbers.sha256);
    const other = await load(arrays({ inputs, targets: [2, 0, 2], classes: 3 }));
    expect(other.sha256).not.toBe(numbers.sha256);
    expect((await load(arrays({ inputs, targets: [2, 0, 1], classes: 3 }))).sha256).toBe(numbers.sha256);
  });

  it('name the first sample that has another shape or value', async () => {
    await expect(load(arrays({ inputs: [[1, 2], [3]], targets: [0, 1] }))).rejects.toThrow(
      /training inputs, sample 1: expected a list of 2/,
    );
    await expect(load(arrays({ inputs, targets: [0, 1] }))).rejects.toThrow(
      /expected 3 samples in each tensor.*got 2/,
    );
    await expect(load(arrays({ inputs, targets: [0, 0.5, 1], classes: 2 }))).rejects.toThrow(
      /sample 1: expected a class number/,
    );
    await expect(
      load(
        arrays({
          inputs,
          targets: [
            [1, 0],
            [0.5, 0.5],
            [0, 1],
          ],
          classes: 2,
        }),
      ),
    ).rejects.toThrow(/sample 1: expected a one-hot target/);
    await expect(load(arrays({ inputs: [['x']] as never, targets: [1] }))).rejects.toThrow(
      /expected a number, got the text/,
    );
  });

  it('are read from tensors, and those that a function makes are disposed', async () => {
    const made = (): { inputs: tf.Tensor; targets: tf.Tensor } => ({
      inputs: tf.tensor2d(inputs),
      targets: tf.tensor1d([2, 0, 1], 'int32'),
    });
    const before = tf.memory().numTensors;
    const data = await load(tensors(() => ({ ...made(), classes: 3 })));
    expect(tf.memory().numTensors).toBe(before);
    expect(await read(data.train, 1)).toEqual([[3, 4], [0]]);
    const own = made();
    const same = await load(tensors({ ...own, classes: 3 }));
    expect(own.inputs.isDisposed).toBe(false);
    expect(same.sha256).toBe(data.sha256);
    tf.dispose([own.inputs, own.targets]);
  });

  it('are read from a dataset, whose elements must be enough and have one shape', async () => {
    const dataset = (): tf.data.Dataset<tf.TensorContainer> =>
      tf.data.zip({ xs: tf.data.array(inputs), ys: tf.data.array([2, 0, 1]) });
    const before = tf.memory().numTensors;
    const data = await load(fromDataset(dataset(), { count: 3, classes: 3 }));
    expect(tf.memory().numTensors).toBe(before);
    expect(await read(data.train, 0, 1, 2)).toEqual([inputs.flat(), [2, 0, 1]]);
    await expect(load(fromDataset(dataset(), { count: 4 }))).rejects.toThrow(/expected 4 elements, got 3/);
    const ragged = tf.data.array([
      { xs: [1, 2], ys: 0 },
      { xs: [1], ys: 0 },
    ] as never);
    await expect(load(fromDataset(ragged, { count: 2 }))).rejects.toThrow(/element 1: expected the shape/);
  });

  it('hold a share out, and need no test set', async () => {
    const source = arrays({
      inputs: Array.from({ length: 10 }, (_, i) => [i]),
      targets: Array.from({ length: 10 }, () => 0),
    });
    const held = await load(holdOut(source, { share: 0.25 }));
    expect([held.train.count, held.test?.count]).toEqual([8, 2]);
    const [[...first], [...second]] = [
      (await read(held.train, 0, 1, 2, 3, 4, 5, 6, 7))[0],
      (await read(held.test, 0, 1))[0],
    ];
    expect([...first, ...second].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(() => holdOut(source, { share: 1.5 })).toThrow(/share: expected a number above 0 and below 1/);
    expect(() => holdOut(source, { share: 0.5, count: 2 })).toThrow(/either count or share, got both/);
    const get = (i: number): { inputs: number[]; targets: number[] } => ({ inputs: [i], targets: [i] });
    const spec = { shape: [], dtype: 'float32' } as const;
    const alone = samples({
      name: 's',
      version: '1',
      inputs: [spec],
      targets: [spec],
      train: { count: 4, get },
    });
    expect((await load(alone)).test).toBeUndefined();
  });

  it('are refused for a decision that needs a test set', async () => {
    const data = withTestSet(await load(arrays({ inputs, targets: [2, 0, 1] })));
    const model = tf.sequential({ layers: [tf.layers.dense({ units: 1, inputShape: [2] })] });
    const config = (fields: RunConfigInput) => runConfigSchema.parse({ loss: 'meanSquaredError', ...fields });
    await expect(checkSamples(data, model, config({}))).resolves.toMatchObject({ test: { count: 0 } });
    await expect(checkSamples(data, model, config({ earlyStopping: { patience: 1 } }))).rejects.toThrow(
      /earlyStopping: expected a test set, which it evaluates, and arrays has none.*holdOut/,
    );
    await expect(checkSamples(data, model, config({ schedule: { kind: 'plateau' } }))).rejects.toThrow(
      /schedule: expected a test set/,
    );
    model.dispose();
  });

  it('are visited in their order in every epoch with shuffle: false, and otherwise in another one', () => {
    const visited = (shuffle: boolean): number[][] => {
      const sampler = new Sampler({ seed: 1, count: 10, batchSize: 4, shards: 1, shuffle });
      return [0, 1].map((epoch) =>
        [1, 2, 3].flatMap((step) => {
          const batch = sampler.plan(3 * epoch + step);
          return [...sampler.indices(batch, { start: 0, end: batch.count })];
        }),
      );
    };
    const inOrder = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
    expect(visited(false)).toEqual([inOrder, inOrder]);
    const [first, second] = visited(true);
    expect(first).not.toEqual(inOrder);
    expect(second).not.toEqual(first);
    expect([...(first ?? [])].sort((a, b) => a - b)).toEqual(inOrder);
  });
});
