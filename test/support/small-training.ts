/** A training that takes milliseconds a step, with all that makes the ConvNet hard: BatchNorm, Dropout, partial batches. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeImages, encodeLabels } from './idx-files.js';

const size = 8;

/**
 * The options and the hash of the weights of a run of 50 epochs in WebAssembly. WebAssembly is specified to the bit, so any machine,
 * Node version and number of workers gives this hash. A change of its kernels changes it.
 */
export const wasmRun = {
  count: 70,
  options: ['--shards', '8', '--epochs', '50', '--engine', 'wasm', '--threads', '1'],
  weightsSha256: 'd0015d7518d74ecdbcd547f3ce85a01b6614fcfac32e6dd2c8cfddf9d21be7ac',
} as const;

/**
 * Writes `lockstep.config.ts` and a data set of `count` training images into `folder`; returns both paths. `extra` and `hidden` are
 * fields of the training and of its hidden layer.
 */
export async function writeSmallTraining(
  folder: string,
  {
    count = 70,
    extra = '',
    hidden = '',
  }: { readonly count?: number; readonly extra?: string; readonly hidden?: string } = {},
): Promise<{ config: string; data: string }> {
  const data = join(folder, 'data');
  await mkdir(data, { recursive: true });
  const images = (n: number, shift: number): Uint8Array =>
    Uint8Array.from({ length: n * size * size }, (_, i) => {
      const label = Math.floor(i / (size * size)) % 10;
      return (label * 23 + ((i * 7919 + shift) % 61)) % 256;
    });
  const labels = (n: number): number[] => Array.from({ length: n }, (_, i) => i % 10);
  await writeFile(join(data, 'train-images-idx3-ubyte'), encodeImages(count, size, size, images(count, 0)));
  await writeFile(join(data, 'train-labels-idx1-ubyte'), encodeLabels(labels(count)));
  await writeFile(join(data, 't10k-images-idx3-ubyte'), encodeImages(20, size, size, images(20, 5)));
  await writeFile(join(data, 't10k-labels-idx1-ubyte'), encodeLabels(labels(20)));
  const config = join(folder, 'lockstep.config.ts');
  await writeFile(
    config,
    `import { defineTraining } from 'lockstep';
export default defineTraining({
  name: 'small',
  data: ${JSON.stringify(data)},
  batchSize: 64,
  ${extra}
  model: ({ tf }) =>
    tf.sequential({
      layers: [
        tf.layers.conv2d({ inputShape: [${size}, ${size}, 1], filters: 16, kernelSize: 3, padding: 'same' }),
        tf.layers.batchNormalization({ epsilon: 1e-5, momentum: 0.9 }),
        tf.layers.reLU(),
        tf.layers.maxPooling2d({ poolSize: 2 }),
        tf.layers.flatten(),
        tf.layers.dropout({ rate: 0.3 }),
        tf.layers.dense({ units: 24, ${hidden} }),
        tf.layers.batchNormalization({ epsilon: 1e-5, momentum: 0.9 }),
        tf.layers.reLU(),
        tf.layers.dense({ units: 10 }),
      ],
    }),
});
`,
  );
  return { config, data };
}
