/**
 * Measures the kernels of the ConvNet with batch 64, or two of them with batch 2 (`few`), and prints one row per kernel as JSON. A time is
 * the mean of calls that follow each other without a read, so the time of the GPU, or of submitting the commands if that is longer. The
 * shortest of three repetitions counts.
 */
import os from 'node:os';
import type { Rank, Tensor, Tensor2D, Tensor4D } from '@tensorflow/tfjs-core';
import type * as cache from '../../src/worker/engine/cache.js';
import type * as load from '../../src/worker/engine/load.js';
import type * as choose from '../../src/worker/kernels/choose.js';
import type { ConvWindow, Kernels } from '../../src/worker/kernels/kernels.js';
import { timePerCall } from './time-per-call.js';

const few = process.argv[2] === 'few';
const [batch, calls] = few ? [2, 2] : [64, 20];
const repetitions = 3;

const compiled = (file: string): Promise<unknown> =>
  import(new URL(`../../dist/worker/${file}`, import.meta.url).href);
const { engineHost } = (await compiled('engine/cache.js')) as typeof cache;
const { loadEngine } = (await compiled('engine/load.js')) as typeof load;
const { kernelsOf } = (await compiled('kernels/choose.js')) as typeof choose;

const engine = await loadEngine({
  choice: 'webgpu',
  threads: 1,
  host: engineHost(process.env, os.homedir()),
  allowSoftwareGpu: true,
  warn: console.error,
});
const { tf } = engine;
const kernels = kernelsOf(engine);

interface Kernel {
  readonly name: string;
  /** Floating-point operations of the direct algorithm; undefined if the rate is not shown. */
  readonly operations?: number;
  readonly run: (kernels: Kernels) => Tensor;
}

const window: ConvWindow = { strides: [1, 1], dilations: [1, 1], padding: 'same' };
const random = <T extends Tensor>(...shape: number[]): T => tf.randomNormal(shape, 0, 1, 'float32', 1) as T;

function convolution(size: number, inputs: number, outputs: number): Kernel[] {
  const x = random<Tensor4D>(batch, size, size, inputs);
  const dy = random<Tensor4D>(batch, size, size, outputs);
  const filter = random<Tensor4D>(3, 3, inputs, outputs);
  const name = `convolution ${size}x${size}, ${inputs} to ${outputs}`;
  const operations = 2 * 9 * batch * size * size * inputs * outputs;
  return [
    { name, operations, run: (k) => k.conv2d(x, filter, window) },
    {
      name: `${name}, filter gradient`,
      operations,
      run: (k) => k.conv2dFilterGradient(x, filter.shape, dy, window),
    },
    {
      name: `${name}, input gradient`,
      operations,
      run: (k) => k.conv2dInputGradient(x.shape, filter, dy, window),
    },
  ];
}

function others(size: number, channels: number): Kernel[] {
  const x = random<Tensor4D>(batch, size, size, channels);
  const coefficients = new Float32Array(3 * channels).fill(0.5);
  const [rows, matrix] = [random<Tensor2D>(batch, 3136), random<Tensor2D>(3136, 512)];
  const logits = random<Tensor2D>(batch, 10);
  const labels = tf.zeros<Rank.R1>([batch], 'int32');
  return [
    {
      name: `BatchNorm, ReLU ${size}x${size}x${channels}`,
      run: (k) => k.batchNorm(x, coefficients, { activation: 'relu', pool: false }, false).y,
    },
    {
      name: 'dense 3136 to 512',
      operations: 2 * batch * 3136 * 512,
      run: (k) => k.matMul(rows, matrix, false, false),
    },
    { name: 'Dropout 3136', run: (k) => k.dropout(rows, 0.5, [1, 2], [0, 3, 4]) },
    { name: 'softmax cross-entropy', run: (k) => k.softmaxCrossEntropy(logits, labels).gradient },
  ];
}

/** Runs a kernel `count` times and waits for the last result. */
async function repeated(kernel: Kernel, count: number): Promise<number> {
  const startedMs = performance.now();
  tf.tidy(() => {
    let last = kernel.run(kernels);
    for (let call = 1; call < count; call++) last = kernel.run(kernels);
    tf.slice(tf.reshape(last, [-1]), 0, 1).dataSync();
  });
  const elapsedMs = performance.now() - startedMs;
  // Node frees the objects of a command only in a turn of the event loop.
  await new Promise(setImmediate);
  return elapsedMs;
}

const selected = few
  ? [...convolution(7, 2, 2).slice(0, 1), ...others(7, 4).slice(-1)]
  : [...convolution(28, 32, 32), ...convolution(14, 32, 64), ...convolution(14, 64, 64), ...others(28, 32)];
for (const kernel of selected) {
  // The first call compiles the shader.
  await repeated(kernel, 1);
  const [single, several]: [number[], number[]] = [[], []];
  for (let repetition = 0; repetition < repetitions; repetition++) {
    single.push(await repeated(kernel, 1));
    several.push(await repeated(kernel, calls + 1));
  }
  const time = timePerCall({ single, several, calls }, kernel.operations);
  console.log(JSON.stringify([`${kernel.name}, batch ${batch}`, time]));
}
process.exit();
