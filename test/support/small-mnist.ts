/** The first pictures of MNIST as a data set of their own: real digits, and an epoch that ends after a few steps. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadMnist, type ImageSet } from '../../src/shared/data/dataset.js';
import { encodeImages, encodeLabels } from './idx-files.js';

/** Writes the four IDX files into `folder`, with `count` training images and a fifth as many for the test. */
export async function writeSmallMnist(folder: string, count: number): Promise<void> {
  const { train, test } = await loadMnist();
  await mkdir(folder, { recursive: true });
  const write = async (name: string, set: ImageSet, samples: number): Promise<void> => {
    const pixels = set.images.subarray(0, samples * set.height * set.width);
    const images = encodeImages(samples, set.height, set.width, pixels);
    await writeFile(join(folder, `${name}-images-idx3-ubyte`), images);
    await writeFile(join(folder, `${name}-labels-idx1-ubyte`), encodeLabels(set.labels.subarray(0, samples)));
  };
  await write('train', train, count);
  await write('t10k', test, Math.ceil(count / 5));
}
