import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { DataError } from '../../src/shared/errors.js';
import { type ImageSet, loadMnist } from '../../src/shared/data/dataset.js';
import { loadDigitImage } from '../../src/worker/predict/digit-image.js';
import { bestNearby, correlation, grey, imageOf, looks } from '../support/digit-pictures.js';
import { thrownBy, withFiles } from '../support/idx-files.js';

const size = { height: 28, width: 28 };
/** Samples of MNIST's test set: 7, 2, 0, 4, 9, 5, 6, 3 and 8, including wide and slanted ones. */
const samples = [0, 1, 3, 4, 7, 8, 11, 18, 61];

let mnist: ImageSet;
beforeAll(async () => {
  mnist = (await loadMnist()).test;
});

const original = (index: number): Uint8Array => imageOf(mnist, index);

/** Returns the result of loadDigitImage for a picture. */
async function throughFile(picture: Sharp, field = size): Promise<Uint8Array> {
  const { format } = await picture.clone().metadata();
  const bytes = await (format === 'raw' ? picture.png() : picture).toBuffer();
  return withFiles({ picture: bytes }, (dir) => loadDigitImage(join(dir, 'picture'), field));
}

describe('loadDigitImage', () => {
  it.each(Object.keys(looks))('recovers digits drawn %s', async (name) => {
    const exact: number[] = [];
    for (const index of samples) {
      const result = await throughFile(await looks[name]!(original(index)));
      exact.push(correlation(original(index), result));
      // A centre of mass near half a pixel may round to either side, in MNIST as here.
      expect(bestNearby(original(index), result), `sample ${index}`).toBeGreaterThan(0.85);
      expect(Math.max(...result)).toBe(255);
    }
    expect(exact.reduce((sum, value) => sum + value, 0) / exact.length).toBeGreaterThan(0.9);
    expect(Math.min(...exact)).toBeGreaterThan(0.7);
  });

  it('does not change a picture in the format of MNIST, grey or in three equal channels', async () => {
    expect(await throughFile(grey(original(3), 28).png())).toEqual(Uint8Array.from(original(3)));
    expect(await throughFile(grey(original(3), 28).toColourspace('srgb').png())).toEqual(
      Uint8Array.from(original(3)),
    );
  });

  it('fits the longer side to 20 of 28 pixels and centres the mass', async () => {
    const bar = sharp({ create: { width: 40, height: 200, channels: 3, background: 'black' } });
    const result = await throughFile(
      bar.extend({ left: 10, right: 150, top: 30, bottom: 70, background: 'white' }).png(),
    );
    const inked = [...result.keys()].filter((at) => result[at]! > 0);
    const rows = inked.map((at) => Math.floor(at / 28));
    const columns = inked.map((at) => at % 28);
    // For an even length the middle lies between two pixels: 14.5 is as near to 14 as 13.5.
    expect([Math.min(...rows), Math.max(...rows)]).toEqual([5, 24]);
    expect([Math.min(...columns), Math.max(...columns)]).toEqual([13, 16]);
  });

  it('scales the digit in proportion for inputs of other sizes', async () => {
    const result = await throughFile(await looks['scaled up']!(original(0)), { height: 56, width: 42 });
    expect(result).toHaveLength(56 * 42);
    const rows = [...result.keys()].filter((at) => result[at]! > 0).map((at) => Math.floor(at / 42));
    const columns = [...result.keys()].filter((at) => result[at]! > 0).map((at) => at % 42);
    const extent =
      Math.max(Math.max(...rows) - Math.min(...rows), Math.max(...columns) - Math.min(...columns)) + 1;
    expect(extent).toBeGreaterThanOrEqual(30);
    expect(extent).toBeLessThanOrEqual(40);
  });

  it('turns a photograph upright by its EXIF orientation', async () => {
    const turned = grey(original(0), 28).resize(280, 280).rotate(270).jpeg().withMetadata({ orientation: 6 });
    expect(correlation(original(0), await throughFile(turned))).toBeGreaterThan(0.85);
  });

  it.each(['white', 'black', '#808080', '#ffffff00'])('refuses a blank picture (%s)', async (background) => {
    const blank = sharp({ create: { width: 28, height: 28, channels: 4, background } }).png();
    await expect(throughFile(blank)).rejects.toThrow(/got a blank image/);
  });

  it('refuses a file that is not a complete image, with its name, its content and a remedy', async () => {
    const png = await grey(original(0), 28).resize(280, 280).png().toBuffer();
    const svg = Buffer.from(
      '<svg xmlns="http://www.w3.org/2000/svg" width="20000" height="20000"><rect width="9" height="9"/></svg>',
    );
    const files = {
      'text.png': Buffer.from('no image'),
      'empty.png': Buffer.alloc(0),
      'cut.png': png.subarray(0, 500),
      'huge.svg': svg,
    };
    await withFiles(files, async (dir) => {
      await mkdir(join(dir, 'folder'));
      for (const name of [...Object.keys(files), 'folder', 'missing.png']) {
        const error = await thrownBy(() => loadDigitImage(join(dir, name), size));
        expect(error, name).toBeInstanceOf(DataError);
        const { message, fields } = error as DataError;
        expect(fields['file']).toBe(join(dir, name));
        for (const key of ['file', 'found', 'remedy']) expect(message).toContain(String(fields[key]));
      }
    });
  });
});
