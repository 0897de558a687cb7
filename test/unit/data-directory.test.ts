import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { ConfigError, DataError } from '../../src/shared/errors.js';
import { loadIdxDirectory } from '../../src/shared/data/dataset.js';
import { chooseFile, readBounded } from '../../src/shared/data/idx-file.js';
import { encodeImages, encodeLabels, smallSet, thrownBy, withFiles } from '../support/idx-files.js';

const load = (changes: Record<string, Buffer | undefined>, classCount = 10) => {
  const files = Object.entries({ ...smallSet(), ...changes }).filter(([, bytes]) => bytes !== undefined);
  return withFiles(Object.fromEntries(files) as Record<string, Buffer>, (dir) =>
    loadIdxDirectory(dir, { classCount }),
  );
};

const refusal = async (
  changes: Record<string, Buffer | undefined>,
  classCount?: number,
): Promise<DataError> => {
  const error = await thrownBy(() => load(changes, classCount));
  expect(error).toBeInstanceOf(DataError);
  return error as DataError;
};

describe('loadIdxDirectory', () => {
  it('loads four files, named after their directory', async () => {
    const { train, test, name, sha256 } = await load({});
    expect(train).toMatchObject({ count: 3, height: 2, width: 3, channels: 1, classCount: 10 });
    expect(train.labels).toEqual(Uint8Array.of(0, 9, 4));
    expect(test.images).toEqual(Uint8Array.from({ length: 12 }, (_, index) => index));
    expect(name).toBe('digits');
    expect(sha256).toBe(
      createHash('sha256')
        .update(Buffer.concat(Object.values(smallSet())))
        .digest('hex'),
    );
  });

  it('loads the same set from gzip files and from the other spelling', async () => {
    const plain = await load({});
    const renamed = Object.entries(smallSet()).map(
      ([name, bytes]) => [`${name}.gz`, gzipSync(bytes)] as const,
    );
    const dotted = Object.entries(smallSet()).map(
      ([name, bytes]) => [name.replace('-idx', '.idx'), bytes] as const,
    );
    for (const files of [renamed, dotted]) {
      expect(await withFiles(Object.fromEntries(files), (dir) => loadIdxDirectory(dir))).toEqual(plain);
    }
  });

  it('prefers the uncompressed file', async () => {
    await load({ 'train-images-idx3-ubyte.gz': Buffer.from('never read') });
    expect(chooseFile(new Set(['a.gz', 'b']), ['a', 'b'])).toBe('b');
  });

  it('refuses damaged gzip', async () => {
    const zipped = gzipSync(smallSet()['train-images-idx3-ubyte']!);
    const flipped = Buffer.from(zipped);
    flipped[zipped.length - 6]! ^= 1;
    for (const bytes of [Buffer.from('not gzip'), Buffer.alloc(0), zipped.subarray(0, -3), flipped]) {
      const error = await refusal({
        'train-images-idx3-ubyte': undefined,
        'train-images-idx3-ubyte.gz': bytes,
      });
      expect(error.message).toMatch(/train-images-idx3-ubyte\.gz: gzip stream at byte 0/);
      expect(error.cause).toBeInstanceOf(Error);
    }
  });

  it('lists the files that are missing', async () => {
    const error = await refusal({
      'train-labels-idx1-ubyte': undefined,
      't10k-images-idx3-ubyte': undefined,
    });
    expect(error.fields['missing']).toBe('train-labels-idx1-ubyte, t10k-images-idx3-ubyte');
    expect(error.message).toMatch(/digits.*missing: train-labels-idx1-ubyte, t10k-images-idx3-ubyte\. Put/);
  });

  it('refuses a directory that does not exist', async () => {
    const error = await withFiles({}, (dir) => thrownBy(() => loadIdxDirectory(join(dir, 'nowhere'))));
    expect(error).toBeInstanceOf(DataError);
    expect((error as DataError).message).toMatch(/nowhere: .*ENOENT/);
  });

  it('refuses images and labels that differ in number', async () => {
    const { fields } = await refusal({ 't10k-labels-idx1-ubyte': encodeLabels([1, 2, 3]) });
    expect(fields).toMatchObject({ offset: 4, found: 3 });
    expect(fields['file']).toMatch(/t10k-labels-idx1-ubyte$/);
  });

  it('refuses a label beyond the number of classes, with its offset', async () => {
    const { fields } = await refusal({ 'train-labels-idx1-ubyte': encodeLabels([0, 10, 255]) });
    expect(fields).toMatchObject({ offset: 9, expected: '0 to 9', found: 10 });
    expect((await refusal({}, 9)).fields).toMatchObject({ offset: 9, found: 9 });
  });

  it('refuses test images of another size than the training images', async () => {
    const { message } = await refusal({ 't10k-images-idx3-ubyte': encodeImages(2, 3, 2) });
    expect(message).toMatch(/t10k-images.*image size at byte 8: expected 2x3 .*got 3x2/);
  });

  it.each([0, 257, 1.5, Number.NaN])('refuses %d classes', async (classCount) => {
    expect(await thrownBy(() => load({}, classCount))).toBeInstanceOf(ConfigError);
  });
});

describe('readBounded', () => {
  it('refuses more than its limit, compressed or not', async () => {
    const files = {
      plain: Buffer.alloc(101),
      'packed.gz': gzipSync(Buffer.alloc(101)),
      fits: Buffer.alloc(100),
    };
    await withFiles(files, async (dir) => {
      expect(await readBounded(join(dir, 'fits'), 100)).toHaveLength(100);
      for (const name of ['plain', 'packed.gz']) {
        await expect(readBounded(join(dir, name), 100)).rejects.toThrow(
          /file size .*at most 100 uncompressed bytes/,
        );
      }
    });
  });

  it('refuses directories and pipes without waiting for them', async () => {
    await withFiles({}, async (dir) => {
      await mkdir(join(dir, 'folder'));
      await expect(readBounded(join(dir, 'folder'))).rejects.toThrow(/regular file, got a directory/);
      execFileSync('mkfifo', [join(dir, 'pipe')]);
      await expect(readBounded(join(dir, 'pipe'))).rejects.toThrow(/regular file, got a special file/);
    });
  });
});
