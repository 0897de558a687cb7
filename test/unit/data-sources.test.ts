import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { csv, holdOut, imageFolder, samples, type DataSplit, type SampleSet } from '../../src/index.js';
import { checkData } from '../../src/worker/data/check-data.js';
import { Sampler } from '../../src/shared/data/sampler.js';
import { DataError } from '../../src/shared/errors.js';
import { BatchReader, readSamples, type Samples } from '../../src/worker/data/batch-reader.js';
import { temporaryFolder } from '../support/lockstep.js';

const read = async (split: DataSplit, ...indices: number[]): Promise<Samples> =>
  readSamples(split, Int32Array.from(indices));

const sets = (train: SampleSet) =>
  samples({
    name: 'squares',
    version: '1',
    train,
    test: train,
    inputs: [{ shape: [2], dtype: 'float32' }],
    targets: [{ shape: [], dtype: 'float32' }],
  });
const sample = (index: number) => ({ inputs: [[index, -index]], targets: [index * index] });

describe('samples of functions', () => {
  async function* generate(indices: readonly number[]) {
    for (const index of indices) {
      await Promise.resolve();
      yield sample(index);
    }
  }

  it.each<[string, SampleSet]>([
    ['a getter', { count: 10, get: sample }],
    ['an async generator', { count: 10, generate }],
  ])('come by index from %s', async (_, set) => {
    const { train } = checkData(await sets(set).load());
    const { inputs, targets } = await read(train, 3, 9, 3);
    expect([...inputs[0]!]).toEqual([3, -3, 9, -9, 3, -3]);
    expect([...targets[0]!]).toEqual([9, 81, 9]);
  });

  it.each([
    ['bytes', Uint8Array.of(200, 3), [200, 3]],
    ['clamped bytes', Uint8ClampedArray.of(300, 3), [255, 3]],
    ['a buffer', Buffer.of(7, 255), [7, 255]],
    ['16 bits', Int16Array.of(-300, 9), [-300, 9]],
    ['32 bits', Uint32Array.of(2 ** 24, 1), [2 ** 24, 1]],
    ['float64', Float64Array.of(0.5, -2), [0.5, -2]],
  ])('may be typed arrays of %s', async (_, values, expected) => {
    const { train } = await sets({ count: 2, get: () => ({ inputs: [values], targets: [1] }) }).load();
    expect([...(await read(train, 1, 0)).inputs[0]!]).toEqual([...expected, ...expected]);
  });

  it('are refused if they are integers of 64 bits', async () => {
    const get = () => ({ inputs: [BigInt64Array.of(1n, 2n) as never], targets: [1] });
    const { train } = await sets({ count: 2, get }).load();
    await expect(read(train, 1)).rejects.toThrow(/input: expected a number at position 0, got/);
  });

  it('are refused with the index of the sample if their size or number is wrong', async () => {
    const wrong = await sets({ count: 2, get: () => ({ inputs: [[1]], targets: [0] }) }).load();
    await expect(read(wrong.train, 1)).rejects.toThrow(
      /squares, training sample 1, input: expected 2 numbers \(2\), got 1/,
    );
    const few = await sets({ count: 2, generate: (indices) => generate(indices.slice(1)) }).load();
    await expect(read(few.train, 0, 1)).rejects.toThrow(/expected 2 samples from the generator, got 1/);
  });

  it('are read ahead if they are returned as promises, and are ready for their step', async () => {
    const asked: number[][] = [];
    const { train } = await sets({
      count: 10,
      generate: (indices) => {
        asked.push([...indices]);
        return generate(indices);
      },
    }).load();
    const sampler = new Sampler({ seed: 1, count: 10, batchSize: 4, shards: 1 });
    const reader = new BatchReader(train, sampler, undefined);
    for (let step = 1; step <= 6; step++) {
      const batch = sampler.plan(step);
      const all = { start: 0, end: batch.count };
      const next = step < 6 ? sampler.plan(step + 1) : undefined;
      await reader.prepare(batch, next, ({ count }) => [{ start: 0, end: count }]);
      expect(asked).toHaveLength(Math.min(6, step + 1));
      const { inputs } = reader.samplesAt(batch, all);
      const expected = [...sampler.indices(batch, all)].flatMap((index) => [index, -index]);
      expect([...inputs[0]!]).toEqual(expected);
    }
  });

  it('hold out a disjoint part, always the same', async () => {
    const held = holdOut(sets({ count: 10, get: sample }), { count: 3 });
    const [one, two] = [await held.load(), await held.load()];
    const all = async ({ train, test }: typeof one) => ({
      train: [...(await read(train, 0, 1, 2, 3, 4, 5, 6)).inputs[0]!].filter((value) => value >= 0),
      test: [...(await read(test, 0, 1, 2)).inputs[0]!].filter((value) => value > 0 || Object.is(value, 0)),
    });
    expect([one.train.count, one.test.count]).toEqual([7, 3]);
    expect(await all(one)).toEqual(await all(two));
    const { inputs: trained } = await read(one.train, 0, 1, 2, 3, 4, 5, 6);
    const { inputs: tested } = await read(one.test, 0, 1, 2);
    const firsts = (values: ArrayLike<number>): number[] => Array.from(values).filter((_, i) => i % 2 === 0);
    expect([...firsts(trained[0]!), ...firsts(tested[0]!)].sort((a, b) => a - b)).toEqual([
      ...Array(10).keys(),
    ]);
    expect(one.sha256).not.toBe((await sets({ count: 10, get: sample }).load()).sha256);
  });

  it('are refused with the name of the field if they are invalid', () => {
    expect(() => checkData({ name: 'x', sha256: '0'.repeat(64), train: {}, test: {} } as never)).toThrow(
      /Data source: expected .* got at "train\.count"/,
    );
  });
});

describe('tables', () => {
  const table = (rows: readonly string[]): string => ['size,colour,price,kind', ...rows].join('\n');
  const rows = Array.from(
    { length: 20 },
    (_, i) => `${i},${i % 2 === 0 ? 'red' : '"light, blue"'},${i * 10},k${i % 3}`,
  );

  it('have numbers centred and scaled by the training set, one-hot categories, and unchanged targets', async () => {
    const folder = await temporaryFolder();
    const train = join(folder, 'train.csv');
    const test = join(folder, 'test.csv');
    await writeFile(train, table(rows));
    await writeFile(test, table(['100,red,7,k1']));
    const inputs = [['size'], ['colour', 'size']];
    const data = checkData(await csv({ train, test, inputs, targets: ['price', 'kind'] }).load());
    expect(data.train.inputs.map(({ shape }) => shape)).toEqual([[1], [3]]);
    expect(data.train.targets).toEqual([
      { shape: [1], dtype: 'float32' },
      { shape: [], dtype: 'int32', classes: 3, classNames: ['k0', 'k1', 'k2'] },
    ]);
    const all = await read(data.train, ...rows.keys());
    const sizes = [...all.inputs[0]!];
    expect(sizes.reduce((sum, value) => sum + value, 0)).toBeCloseTo(0, 5);
    expect(sizes.reduce((sum, value) => sum + value ** 2, 0) / 20).toBeCloseTo(1, 5);
    expect([...all.inputs[1]!.slice(0, 6)]).toEqual([0, 1, sizes[0], 1, 0, sizes[1]]);
    const { inputs: own, targets } = await read(data.test, 0);
    const deviation = Math.sqrt(rows.reduce((sum, _, i) => sum + (i - 9.5) ** 2, 0) / 20);
    expect(own[0]![0]).toBeCloseTo(90.5 / deviation, 4);
    expect([targets[0]![0], targets[1]![0]]).toEqual([7, 1]);
  });

  it('are split if there is one file, with each row used once', async () => {
    const train = join(await temporaryFolder(), 'all.csv');
    await writeFile(train, table(rows));
    const data = await csv({ train, testEvery: 4, targets: ['price'] }).load();
    expect([data.train.count, data.test.count]).toEqual([15, 5]);
    const prices = [
      ...(await read(data.train, ...Array(15).keys())).targets[0]!,
      ...(await read(data.test, ...Array(5).keys())).targets[0]!,
    ];
    expect(prices.sort((a, b) => a - b)).toEqual(rows.map((_, i) => i * 10));
  });

  it('are refused with the defect', async () => {
    const folder = await temporaryFolder();
    const [train, test] = [join(folder, 'train.csv'), join(folder, 'test.csv')];
    await writeFile(train, table(rows));
    await writeFile(test, table(['x,green,7,k1']));
    const load = (options: object) => csv({ train, targets: ['price'], ...options }).load();
    await expect(load({ targets: ['weight'] })).rejects.toThrow(
      /expected a column "weight", got size, colour/,
    );
    await expect(load({ train: join(folder, 'none.csv') })).rejects.toThrow(/readable CSV file, got ENOENT/);
    await expect(load({ test })).rejects.toThrow(DataError);
  });
});

describe('folders of pictures', () => {
  it('are classes in order of name, and pictures of any size are resized to the requested one', async () => {
    const folder = await temporaryFolder();
    const paint = async (path: string, side: number, red: number): Promise<void> => {
      await mkdir(join(path, '..'), { recursive: true });
      const background = { r: red, g: 0, b: 0 };
      await sharp({ create: { width: side, height: side, channels: 3, background } })
        .png()
        .toFile(path);
    };
    for (const set of ['train', 'test']) {
      await paint(join(folder, set, 'bright', '1.png'), 16, 255);
      await paint(join(folder, set, 'dark', '2.png'), 5, 51);
      await writeFile(join(folder, set, 'dark', 'notes.txt'), 'no picture');
    }
    const options = { train: join(folder, 'train'), test: join(folder, 'test'), height: 4, width: 6 };
    const data = checkData(await imageFolder({ ...options, normalize: { mean: 0, std: 1 } }).load());
    expect([data.train.count, data.train.inputs[0]!.shape]).toEqual([2, [4, 6, 3]]);
    const { inputs, targets } = await read(data.train, 1, 0);
    expect([...targets[0]!]).toEqual([1, 0]);
    expect(inputs[0]![0]).toBeCloseTo(0.2, 6);
    expect(inputs[0]![72]).toBeCloseTo(1, 6);
    const grey = await imageFolder({ ...options, channels: 1 }).load();
    expect((await read(grey.train, 0)).inputs[0]).toHaveLength(24);
    expect(grey.sha256).not.toBe(data.sha256);

    await writeFile(join(folder, 'test', 'dark', '2.png'), 'broken');
    const broken = await imageFolder(options).load();
    await expect(read(broken.test, 1)).rejects.toThrow(/2\.png: expected a picture, got/);
    await mkdir(join(folder, 'test', 'other'));
    await expect(imageFolder(options).load()).rejects.toThrow(
      /expected the classes bright, dark, got "other"/,
    );
  });
});
