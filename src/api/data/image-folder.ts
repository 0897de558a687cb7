/**
 * Pictures in one folder per class: `train/cat/1.jpg`, `test/dog/2.png`. They are decoded and resized on first use and cached as bytes
 * up to a limit.
 */

import { createHash } from 'node:crypto';
import { basename, resolve } from 'node:path';
import type { Normalization } from '../../shared/data/normalize.js';
import { normalizePixels } from '../../shared/data/normalize.js';
import {
  jsonBytes,
  maxPreprocessingBytes,
  type PicturePreprocessing,
  type Preprocessing,
} from '../../shared/data/preprocessing.js';
import type { DataSplit, TrainingData } from '../../shared/data/training-data.js';
import { ConfigError, DataError } from '../../shared/errors.js';
import type { DataSource } from '../define-training.js';
import { classFolders, notesOf, picturesIn, type LeftOut, type PictureFile } from './class-folders.js';
import { checkInteger, checkNormalization, checkOptionNames, show } from './known-options.js';
import { decodePicture } from './picture.js';

export interface ImageFolderOptions {
  /** Folder with one folder per class, relative to the working folder. The training set's folders, sorted by name, are the classes. */
  readonly train: string;
  readonly test: string;
  /** Size of the resized pictures, in pixels. A picture with other proportions is cropped. */
  readonly height: number;
  readonly width: number;
  /** 1: grayscale, 3: colour (default). */
  readonly channels?: 1 | 3;
  /** Colour behind transparent pixels, as `#rrggbb`; white by default. */
  readonly background?: string;
  /** Pixels become (x / 255 - mean) / std; by default with mean 0.5 and std 0.5. */
  readonly normalize?: Normalization;
  /** Maximum size of the cache of decoded pictures, in bytes; 1 GiB by default. */
  readonly cacheBytes?: number;
}

const names = ['train', 'test', 'height', 'width', 'channels', 'background', 'normalize', 'cacheBytes'];

export function imageFolder(options: ImageFolderOptions): DataSource<TrainingData> {
  checkOptions(options);
  return { load: (saved) => load(options, saved) };
}

/** @throws ConfigError naming the first wrong option */
function checkOptions(options: ImageFolderOptions): void {
  checkOptionNames('imageFolder', options, names);
  const { height, width, channels = 3, background = '#ffffff', normalize, cacheBytes = 0 } = options;
  for (const name of ['train', 'test'] as const) {
    const folder: unknown = options[name];
    if (typeof folder === 'string' && folder !== '') continue;
    throw new ConfigError(`imageFolder: ${name}: expected the path of a folder, got ${show(folder)}.`);
  }
  checkInteger('imageFolder: height', height, { min: 1, max: 65_536 });
  checkInteger('imageFolder: width', width, { min: 1, max: 65_536 });
  checkInteger('imageFolder: cacheBytes', cacheBytes, { min: 0, max: Number.MAX_SAFE_INTEGER });
  if (![1, 3].includes(channels))
    throw new ConfigError(`imageFolder: channels: expected 1 or 3, got ${show(channels)}.`);
  if (!/^#[0-9a-f]{6}$/i.test(background))
    throw new ConfigError(`imageFolder: background: expected a colour as #rrggbb, got ${show(background)}.`);
  if (normalize) checkNormalization('imageFolder', normalize);
}

async function load(options: ImageFolderOptions, saved: Preprocessing | undefined) {
  const { train, test, height, width, channels = 3, background = '#ffffff' } = options;
  const { normalize = { mean: 0.5, std: 0.5 } } = options;
  const leftOut: Record<'train' | 'test', LeftOut> = {
    train: { system: [], others: [] },
    test: { system: [], others: [] },
  };
  const trainFolders = await classFolders(train, leftOut.train);
  const testFolders = await classFolders(test, leftOut.test);
  const classes = trainFolders.map(({ name }) => name);
  const trainFiles = await picturesIn(train, classes, trainFolders, leftOut.train);
  const testFiles = await picturesIn(test, classes, testFolders, leftOut.test);
  const absent = classes.filter((name) => testFolders.every((one) => one.name !== name));
  const notes = [
    ...notesOf(train, leftOut.train),
    ...notesOf(test, leftOut.test),
    ...(absent.length > 0 ? [`${test}: the test set has no pictures of ${absent.join(', ')}.`] : []),
  ];
  const preprocessing: PicturePreprocessing = {
    kind: 'pictures',
    height,
    width,
    channels,
    background,
    normalize,
    classNames: classes,
  };
  if (saved) checkSaved(train, saved, preprocessing);
  else if (jsonBytes(preprocessing) > maxPreprocessingBytes)
    throw new DataError(
      `${train}: expected class names of at most ${maxPreprocessingBytes} bytes together, got ${jsonBytes(preprocessing)}. ` +
        "Shorten the class folders' names.",
    );
  const decode = decoder(preprocessing, options.cacheBytes ?? 2 ** 30);
  const split = (files: readonly PictureFile[]): DataSplit => splitOf(files, preprocessing, decode);
  const identity = [trainFiles, testFiles].map((files) => files.map(({ id, label }) => [id, label]));
  const sha256 = createHash('sha256')
    .update(JSON.stringify([identity, classes, height, width, channels, normalize, background]))
    .digest('hex');
  return {
    name: basename(resolve(train, '..')),
    sha256,
    train: split(trainFiles),
    test: split(testFiles),
    preprocessing,
    ...(notes.length > 0 ? { notes } : {}),
  };
}

/** @throws DataError if a saved model was trained with other classes or another conversion */
function checkSaved(folder: string, saved: Preprocessing, present: PicturePreprocessing): void {
  for (const [field, value] of Object.entries(present)) {
    const trained = JSON.stringify((saved as Readonly<Record<string, unknown>>)[field] ?? null);
    if (trained === JSON.stringify(value)) continue;
    throw new DataError(
      `${folder}: expected ${field} ${trained}, with which the model was trained, got ${JSON.stringify(value)}. ` +
        'Use the data and the options of the training.',
      { folder, field },
    );
  }
}

type Decode = (path: string) => Promise<Uint8Array>;

function splitOf(
  files: readonly PictureFile[],
  { height, width, channels, normalize, classNames }: PicturePreprocessing,
  decode: Decode,
): DataSplit {
  const size = height * width * channels;
  const background = (0 - normalize.mean) / normalize.std;
  return {
    count: files.length,
    inputs: [{ shape: [height, width, channels], dtype: 'float32', background }],
    targets: [{ shape: [], dtype: 'int32', classes: classNames.length, classNames }],
    fill: async (indices, { inputs: [pixels], targets: [labels] }) => {
      await Promise.all(
        Array.from(indices, async (index, at) => {
          const file = files[index] as PictureFile;
          pixels?.set(normalizePixels(await decode(file.path), normalize), at * size);
          if (labels) labels[at] = file.label;
        }),
      );
    },
    verified: true,
    origin: (index) => files[index]?.path ?? '',
  };
}

/** Returns a function that decodes a picture, or returns its bytes from the cache. */
function decoder(format: PicturePreprocessing, cacheBytes: number): Decode {
  const kept = new Map<string, Uint8Array>();
  const room = Math.floor(cacheBytes / (format.height * format.width * format.channels));
  return async (path) => {
    const held = kept.get(path);
    if (held) return held;
    const bytes = await decodePicture(path, format);
    if (kept.size < room) kept.set(path, bytes);
    return bytes;
  };
}
