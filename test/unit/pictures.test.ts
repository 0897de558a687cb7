import { copyFile, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { crc32, deflateSync } from 'node:zlib';
import { beforeEach, describe, expect, it } from 'vitest';
import { decodePicture, maxPixels } from '../../src/api/data/picture.js';
import { holdOut, imageFolder, type ImageFolderOptions } from '../../src/index.js';
import { readSamples } from '../../src/worker/data/batch-reader.js';
import { temporaryFolder } from '../support/lockstep.js';

const fixture = (name: string): string =>
  fileURLToPath(new URL(`../fixtures/pictures/${name}`, import.meta.url));

const format = { height: 8, width: 8, channels: 3 as const, background: '#ffffff' };

/** The row below the middle of a picture of 8 x 8, one list per channel. */
async function middleRow(name: string, options: Partial<typeof format> = {}): Promise<number[][]> {
  const bytes = await decodePicture(fixture(name), { ...format, ...options });
  return [0, 1, 2].map((channel) => Array.from({ length: 8 }, (_, x) => bytes[(32 + x) * 3 + channel] ?? -1));
}

const ramp = [14, 46, 78, 111, 143, 176, 208, 240];

describe('a decoded picture', () => {
  // Written by Pillow 12. The values are the means of 8 x 8 pixels as Pillow decodes and composes them.
  it.each<[string, readonly number[], number]>([
    ['plain.jpg', ramp, 1],
    ['gray16.png', [14, 47, 79, 111, 144, 176, 208, 241], 1],
    ['rgb16.png', [14, 46, 79, 111, 144, 176, 209, 241], 1],
    ['rgba.png', [120, 138, 156, 174, 192, 211, 229, 247], 1],
    ['grayalpha.png', [134, 150, 166, 183, 199, 215, 231, 247], 1],
    // Edges between colours overshoot by a few levels under Lanczos's filter.
    ['palette-transp.png', [14, 46, 79, 110, 144, 183, 224, 239], 5],
    ['black-on-transparent.png', [255, 255, 128, 0, 0, 128, 255, 255], 5],
    ['onebit.png', [0, 0, 0, 0, 255, 255, 255, 255], 15],
    // The first of three frames.
    ['anim.gif', [0, 0, 0, 0, 0, 0, 0, 0], 0],
    ['anim.webp', [0, 0, 0, 0, 0, 0, 0, 0], 0],
    // Without a profile in the file, CMYK is converted by a printer's profile instead of by its complement.
    ['cmyk.jpg', ramp, 35],
  ])(
    '%s has the values of an independent decoder, in colour and in grey',
    async (name, expected, tolerance) => {
      const [red = []] = await middleRow(name);
      const bytes = await decodePicture(fixture(name), { ...format, channels: 1 });
      for (const [x, value] of expected.entries()) {
        expect(Math.abs((red[x] ?? -1) - value)).toBeLessThanOrEqual(tolerance);
        expect(Math.abs((bytes[32 + x] ?? -1) - value)).toBeLessThanOrEqual(tolerance);
      }
    },
  );

  it.each<[string, readonly number[], number]>([
    ['rgba.png', [8, 26, 44, 62, 80, 99, 117, 135], 1],
    ['grayalpha.png', [7, 23, 39, 56, 72, 88, 104, 120], 1],
    ['black-on-transparent.png', [0, 0, 0, 0, 0, 0, 0, 0], 5],
  ])('%s is composed on the chosen colour', async (name, green, tolerance) => {
    const [red = [], shown = []] = await middleRow(name, { background: '#ff0000' });
    const [onWhite = []] = await middleRow(name);
    for (const [x, value] of green.entries()) {
      expect(Math.abs((red[x] ?? -1) - (onWhite[x] ?? 999))).toBeLessThanOrEqual(tolerance);
      expect(Math.abs((shown[x] ?? -1) - value)).toBeLessThanOrEqual(tolerance);
    }
  });

  it('is upright as its EXIF orientation states', async () => {
    const bytes = await decodePicture(fixture('exif6.jpg'), { ...format, channels: 1 });
    for (const [y, value] of ramp.entries())
      expect(Math.abs((bytes[y * 8 + 4] ?? -1) - value)).toBeLessThanOrEqual(1);
  });

  it.each([
    ['float32.tif', /expected samples of 8 or 16 bits, got samples of type float/],
    ['trunc.jpg', /expected a picture, got: .*premature end of JPEG image\. Replace or remove it\.$/],
    ['text.png', /expected a picture, got a file of another format than JPEG/],
    ['zero.png', /expected a picture, got an empty file\. Replace or remove it/],
    ['absent.png', /expected a picture, got no file, or a link to none/],
  ])('%s is refused with its path', async (name, message) => {
    const decoding = decodePicture(fixture(name), format);
    await expect(decoding).rejects.toThrow(message);
    await expect(decoding).rejects.toThrow(fixture(name));
  });
});

describe('a file that is named like a picture', () => {
  it('is refused if it is an SVG, whose decoder is not made for foreign files', async () => {
    const file = join(await temporaryFolder(), 'drawing.png');
    const text =
      '<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><rect width="8" height="8"/></svg>';
    for (const prefix of ['', '<?xml version="1.0"?>\n', '\n \n']) {
      await writeFile(file, prefix + text);
      await expect(decodePicture(file, format)).rejects.toThrow(
        /drawing.png: expected a picture, got a file of another format/,
      );
    }
  });

  it('is refused if few bytes describe more pixels than are decoded', async () => {
    const file = join(await temporaryFolder(), 'bomb.png');
    const side = 14_000;
    expect(side ** 2).toBeGreaterThan(maxPixels);
    const header = Buffer.alloc(13);
    header.writeUInt32BE(side, 0);
    header.writeUInt32BE(side, 4);
    // 8 bits of grey.
    header[8] = 8;
    const rows = deflateSync(Buffer.alloc(side + 1));
    const parts = [chunk('IHDR', header), chunk('IDAT', rows), chunk('IEND', Buffer.alloc(0))];
    await writeFile(file, Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), ...parts]));
    await expect(decodePicture(file, format)).rejects.toThrow(/bomb.png: .*exceeds pixel limit/);
  });
});

/** A part of a PNG file. */
function chunk(name: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(name), data]);
  const [length, checksum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  checksum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, checksum]);
}

describe('a folder of class folders', () => {
  let root = '';
  const at = (...names: string[]): string => join(root, ...names);
  const picture = async (...names: string[]): Promise<void> => {
    await mkdir(at(...names, '..'), { recursive: true });
    await copyFile(fixture('plain.jpg'), at(...names));
  };
  const load = (options: Partial<ImageFolderOptions> = {}) =>
    imageFolder({
      train: at('train'),
      test: at('test'),
      height: 8,
      width: 8,
      channels: 1,
      ...options,
    }).load();

  beforeEach(async () => {
    root = await temporaryFolder();
    for (const set of ['train', 'test']) for (const name of ['cat', 'dog']) await picture(set, name, '1.jpg');
  });

  it('leaves out hidden and system entries and other files, and notes them', async () => {
    for (const name of ['.ipynb_checkpoints', '__MACOSX', '@eaDir']) await picture('train', name, '1.jpg');
    for (const name of ['Thumbs.db', '.DS_Store']) await writeFile(at('train', name), 'x');
    await writeFile(at('train', 'cat', '._1.jpg'), 'Mac OS X');
    await writeFile(at('test', 'dog', 'notes.txt'), 'x');
    await writeFile(at('test', 'dog', 'photo.heic'), 'x');
    const { train, test, notes } = await load();
    expect(train.targets[0]?.classNames).toEqual(['cat', 'dog']);
    expect([train.count, test.count]).toEqual([2, 2]);
    expect(notes).toEqual([
      `${at('train')}: 6 hidden or system entries are left out: .DS_Store, .ipynb_checkpoints, @eaDir, Thumbs.db, __MACOSX, ….`,
      `${at('test')}: 2 files are left out, because only pictures in class folders (JPEG, PNG, WebP, GIF, TIFF, AVIF) are read: ` +
        `${join('dog', 'notes.txt')}, ${join('dog', 'photo.heic')}.`,
    ]);
  });

  it('is another data set if a picture is replaced by one of equal size', async () => {
    const path = at('train', 'cat', '1.jpg');
    const { sha256 } = await load();
    expect((await load()).sha256).toBe(sha256);
    const bytes = await readFile(path);
    const at90 = Math.floor(bytes.length * 0.9);
    bytes[at90] = (bytes[at90] ?? 0) ^ 1;
    await writeFile(path, bytes);
    expect((await load()).sha256).not.toBe(sha256);
  });

  it('reads names with any characters, and equal names in both forms of Unicode', async () => {
    for (const name of ['ä.jpg', '🚀.jpeg', 'new\nline.JPG', 'x.jfif']) await picture('train', 'cat', name);
    await picture('train', 'k\u00e4se', '1.jpg');
    await picture('test', 'ka\u0308se', '1.jpg');
    const { train, test } = await load();
    expect(train.count).toBe(7);
    const { targets } = await readSamples(test, Int32Array.of(2));
    expect(train.targets[0]?.classNames?.[targets[0]?.[0] ?? -1]).toBe('k\u00e4se');
  });

  it.each<[string, () => Promise<unknown>, string, RegExp]>([
    ['an empty class folder', () => mkdir(at('train', 'emu')), 'train/emu', /of the class "emu", got none/],
    [
      'an empty class folder of the test set',
      () => rm(at('test', 'dog', '1.jpg')),
      'test/dog',
      /"dog", got none/,
    ],
    [
      'a folder among pictures',
      () => mkdir(at('train', 'cat', 'd.png')),
      'train/cat',
      /got the folder "d\.png"/,
    ],
    [
      'a dangling link to a class',
      () => symlink('/nowhere', at('train', 'zz')),
      'train/zz',
      /a link to a file that does/,
    ],
    [
      'a dangling link',
      () => symlink('/nowhere', at('train', 'cat', '9.jpg')),
      'train/cat/9.jpg',
      /a link to a file that/,
    ],
    ['a link to itself', () => symlink('zz', at('train', 'zz')), 'train/zz', /got ELOOP/],
    ['an empty file', () => writeFile(at('test', 'cat', '2.png'), ''), 'test/cat/2.png', /got an empty file/],
    [
      'a class without training data',
      () => picture('test', 'emu', '1.jpg'),
      'test',
      /classes cat, dog, got "emu" too/,
    ],
    ['a missing folder', () => rm(at('test'), { recursive: true }), 'test', /got ENOENT\. Check the path/],
  ])('is refused before the first step for %s', async (_, change, path, message) => {
    await change();
    await expect(load()).rejects.toThrow(message);
    await expect(load()).rejects.toThrow(at(...path.split('/')));
  });

  it('has its pictures in order of name, and the first wrong one is named', async () => {
    const names = Array.from({ length: 40 }, (_, i) => `p${String(i).padStart(2, '0')}.jpg`);
    for (const name of [...names].reverse()) await picture('train', 'cat', name);
    await symlink('p00.jpg', at('train', 'cat', 'p40.jpg'));
    await symlink('cat', at('train', 'also'));
    await symlink('cat', at('test', 'also'));
    const { train } = await load();
    // "also" is a link to "cat".
    const paths = Array.from({ length: 84 }, (_, i) => train.origin?.(i));
    const expected = ['also', 'cat'].flatMap((folder) =>
      ['1.jpg', ...names, 'p40.jpg'].map((name) => at('train', folder, name)),
    );
    expect(paths).toEqual(expected);
    expect(train.count).toBe(85);
    for (const name of ['p39.jpg', 'p21.jpg', 'p07.jpg']) await writeFile(at('train', 'cat', name), '');
    await expect(load()).rejects.toThrow(
      `${at('train', 'also', 'p07.jpg')}: expected a picture, got an empty`,
    );
  });

  it('has class names that fit into a message of the run', async () => {
    // 2048 names of 255 letters, with quotes and commas.
    const folders = Array.from({ length: 2_048 }, (_, i) => `${String(i)}-`.padEnd(255, 'x'));
    for (const name of folders) {
      await mkdir(at('train', name));
      await symlink(at('train', 'cat', '1.jpg'), at('train', name, '1.jpg'));
    }
    await expect(load()).rejects.toThrow(
      /train: expected class names of at most 524288 bytes together, got 52\d{4}\. Shorten/,
    );
  });

  it('may lack a class in the test set, which is noted', async () => {
    await rm(at('test', 'dog'), { recursive: true });
    const { notes } = await load();
    expect(notes).toEqual([`${at('test')}: the test set has no pictures of dog.`]);
    const held = await holdOut(imageFolder({ train: at('train'), test: at('test'), height: 8, width: 8 }), {
      count: 1,
    }).load();
    expect(held.notes).toEqual(notes);
    expect(held.test.origin?.(0)).toMatch(/[\\/]train[\\/](cat|dog)[\\/]1\.jpg$/);
  });

  it.each<[object, RegExp]>([
    [{ colour: 1 }, /imageFolder: expected options among .*, got "colour"/],
    [{ channels: 4 }, /imageFolder: channels: expected 1 or 3, got 4/],
    [{ background: 'white' }, /imageFolder: background: expected a colour as #rrggbb/],
    [{ height: 0 }, /imageFolder: height: expected an integer/],
    [{ normalize: { mean: 0, std: 0 } }, /imageFolder: normalize: .* std 0/],
  ])('refuses the options %o by name', (options, message) => {
    const given = { train: 'a', test: 'b', height: 8, width: 8, ...options } as ImageFolderOptions;
    expect(() => imageFolder(given)).toThrow(message);
  });
});
