/**
 * Pictures in one folder per class: `train/cat/1.jpg`, `test/dog/2.png`. They are decoded and resized by sharp on first use and
 * cached as bytes up to a limit.
 */

import { createHash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import type { Normalization } from '../../shared/data/normalize.js';
import { normalizePixels } from '../../shared/data/normalize.js';
import type { DataSplit } from '../../shared/data/training-data.js';
import { DataError, systemCode } from '../../shared/errors.js';
import type { DataSource } from '../define-training.js';

export interface ImageFolderOptions {
  /** Folder with one folder per class, relative to the working folder. The training set's folders, sorted by name, are the classes. */
  readonly train: string;
  readonly test: string;
  /** Size of the resized pictures, in pixels. A picture with other proportions is cropped. */
  readonly height: number;
  readonly width: number;
  /** 1: grayscale, 3: colour (default). */
  readonly channels?: 1 | 3;
  /** Pixels become (x / 255 - mean) / std; by default with mean 0.5 and std 0.5. */
  readonly normalize?: Normalization;
  /** Maximum size of the cache of decoded pictures, in bytes; 1 GiB by default. */
  readonly cacheBytes?: number;
}

const pictures = /\.(jpe?g|png|webp|gif|tiff?|avif)$/i;

interface PictureFile {
  readonly path: string;
  /** Identifies the picture independently of the folder's location. */
  readonly id: string;
  readonly label: number;
}

export function imageFolder(options: ImageFolderOptions): DataSource {
  return { load: () => load(options) };
}

async function load(options: ImageFolderOptions) {
  const { train, test, height, width, channels = 3, normalize = { mean: 0.5, std: 0.5 } } = options;
  const classes = await foldersIn(train);
  const [trainFiles, testFiles] = [await filesIn(train, classes), await filesIn(test, classes)];
  const decode = await decoder({ height, width, channels, cacheBytes: options.cacheBytes ?? 2 ** 30 });
  const split = (files: readonly PictureFile[]): DataSplit => ({
    count: files.length,
    inputs: [
      {
        shape: [height, width, channels],
        dtype: 'float32',
        background: (0 - normalize.mean) / normalize.std,
      },
    ],
    targets: [{ shape: [], dtype: 'int32', classes: classes.length, classNames: classes }],
    fill: async (indices, { inputs: [pixels], targets: [labels] }) => {
      const size = height * width * channels;
      await Promise.all(
        Array.from(indices, async (index, at) => {
          const file = files[index] as PictureFile;
          pixels?.set(normalizePixels(await decode(file.path), normalize), at * size);
          if (labels) labels[at] = file.label;
        }),
      );
    },
  });
  const identity = [trainFiles, testFiles].map((files) => files.map(({ id, label }) => [id, label]));
  const sha256 = createHash('sha256')
    .update(JSON.stringify([identity, classes, height, width, channels, normalize]))
    .digest('hex');
  return { name: basename(resolve(train, '..')), sha256, train: split(trainFiles), test: split(testFiles) };
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (cause) {
    throw new DataError(
      `${folder}: expected a folder with a folder for each class, got ${systemCode(cause) ?? String(cause)}.`,
      { folder },
      cause,
    );
  }
}

async function foldersIn(folder: string): Promise<string[]> {
  const names = await namesIn(folder);
  const isFolder = await Promise.all(
    names.map(async (name) => (await stat(join(folder, name))).isDirectory()),
  );
  const folders = names.filter((_, i) => isFolder[i]);
  if (folders.length > 0) return folders;
  throw new DataError(`${folder}: expected a folder for each class, got none.`, { folder });
}

/** Returns the files by class and name. The data's hash contains their sizes instead of their contents. */
async function filesIn(folder: string, classes: readonly string[]): Promise<PictureFile[]> {
  const unknown = (await foldersIn(folder)).find((name) => !classes.includes(name));
  if (unknown !== undefined)
    throw new DataError(`${folder}: expected the classes ${classes.join(', ')}, got "${unknown}" too.`);
  const all: PictureFile[] = [];
  for (const [label, name] of classes.entries()) {
    const names = await namesIn(join(folder, name)).catch(() => []);
    for (const file of names.filter((entry) => pictures.test(entry))) {
      const path = join(folder, name, file);
      all.push({ path, id: `${name}/${file}:${(await stat(path)).size}`, label });
    }
  }
  if (all.length > 0) return all;
  throw new DataError(
    `${folder}: expected pictures (JPEG, PNG, WebP, GIF, TIFF, AVIF) in its folders, got none.`,
  );
}

/** Returns a function that decodes a picture to bytes, channels last. */
async function decoder(options: {
  readonly height: number;
  readonly width: number;
  readonly channels: 1 | 3;
  readonly cacheBytes: number;
}): Promise<(path: string) => Promise<Uint8Array>> {
  const { height, width, channels, cacheBytes } = options;
  // Imported with the data, because the coordinator loads the definition but no data.
  const { default: sharp } = await import('sharp');
  const kept = new Map<string, Uint8Array>();
  const room = Math.floor(cacheBytes / (height * width * channels));
  return async (path) => {
    const held = kept.get(path);
    if (held) return held;
    try {
      const picture = sharp(path).rotate().flatten().resize(width, height, { fit: 'cover' });
      const coloured =
        channels === 1 ? picture.greyscale().toColourspace('b-w') : picture.toColourspace('srgb');
      const bytes = new Uint8Array(await coloured.raw().toBuffer());
      if (bytes.length !== height * width * channels)
        throw new DataError(`expected ${height * width * channels} bytes, got ${bytes.length}`);
      if (kept.size < room) kept.set(path, bytes);
      return bytes;
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new DataError(
        `${path}: expected a picture, got: ${reason}. Replace or remove it.`,
        { path },
        cause,
      );
    }
  };
}
