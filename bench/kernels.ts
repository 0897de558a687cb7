/**
 * Compares the ConvNet's kernels one by one, Lockstep's own ops with TensorFlow's, alternating on the same tensors, threads and
 * precision: `npm run bench:kernels -- [--threads N] [--batch N] [--precision float32|bfloat16] [--rounds N]`.
 *
 * Prints the median time of each and, for products, the arithmetic rate of Lockstep's op. The rate counts the operations of the direct
 * algorithm; Winograd's algorithm performs fewer.
 */
import os from 'node:os';
import { allocatePinned } from '../src/shared/memory/pinned-vector.js';
import { parseArgs } from 'node:util';
import type { Rank, Tensor, Tensor2D, Tensor4D } from '@tensorflow/tfjs-core';
import { median } from '../src/shared/arithmetic/quantile.js';
import { engineHost } from '../src/worker/engine/cache.js';
import { engineEnvironment } from '../src/worker/engine/environment.js';
import { loadEngine } from '../src/worker/engine/load.js';
import type { AdamState, BatchNormTail, ConvWindow, Kernels } from '../src/worker/kernels/kernels.js';
import { TensorflowKernels } from '../src/worker/kernels/tensorflow.js';
import { machineLine } from './measure.js';

const { values: given } = parseArgs({
  options: {
    threads: { type: 'string', default: '1' },
    batch: { type: 'string', default: '32' },
    precision: { type: 'string', default: 'float32' },
    rounds: { type: 'string', default: '15' },
  },
});
const [threads, batch, rounds] = [Number(given.threads), Number(given.batch), Number(given.rounds)];
const precision = given.precision === 'bfloat16' ? 'bfloat16' : 'float32';

Object.assign(process.env, engineEnvironment({ threads, device: 'cpu' }));
const host = engineHost(process.env, os.homedir());
const engine = await loadEngine({ choice: 'tensorflow', threads, device: 'cpu', host, warn: console.warn });
const { tf, memory } = engine;
const own = new TensorflowKernels(tf, memory, precision);
const reference = new TensorflowKernels(tf, memory, precision, false);

interface Kernel {
  readonly name: string;
  /** Floating-point operations of the direct algorithm; undefined if the rate is not printed. */
  readonly operations?: number;
  readonly run: (kernels: Kernels) => void;
}

const window: ConvWindow = { strides: [1, 1], dilations: [1, 1], padding: 'same' };
const random = <T extends Tensor>(...shape: number[]): T => tf.randomNormal(shape, 0, 1, 'float32', 1) as T;

function convolution(size: number, inputs: number, outputs: number): Kernel[] {
  const x = random<Tensor4D>(batch, size, size, inputs);
  const dy = random<Tensor4D>(batch, size, size, outputs);
  const filter = random<Tensor4D>(3, 3, inputs, outputs);
  const shape = { filterShape: filter.shape, window };
  const name = `convolution ${size}x${size}, ${inputs} to ${outputs}`;
  const operations = 2 * 9 * batch * size * size * inputs * outputs;
  return [
    {
      name,
      operations,
      run: (k) => void k.conv2d(k.operand(x, shape), k.operand(filter, shape), window),
    },
    {
      name: `${name}, filter gradient`,
      operations,
      run: (k) =>
        void k.conv2dFilterGradient(k.operand(x, shape), filter.shape, k.operand(dy, shape), window),
    },
    {
      name: `${name}, input gradient`,
      operations,
      run: (k) => void k.conv2dInputGradient(x.shape, k.operand(filter, shape), k.operand(dy, shape), window),
    },
  ];
}

function batchNorm(size: number, channels: number, tail: BatchNormTail): Kernel[] {
  const x = random<Tensor4D>(batch, size, size, channels);
  const dy = random<Tensor4D>(batch, tail.pool ? size / 2 : size, tail.pool ? size / 2 : size, channels);
  const coefficients = new Float32Array(3 * channels).fill(0.5);
  const name = `BatchNorm, ReLU${tail.pool ? ', pool' : ''} ${size}x${size}x${channels}`;
  return [
    {
      name,
      run: (k) => {
        k.moments(x);
        k.batchNorm(x, coefficients, tail, false);
      },
    },
    {
      name: `${name}, backward`,
      run: (k) => {
        const pass = k.batchNorm(x, coefficients, tail, true);
        pass.sums(dy);
        pass.inputGradient(dy, coefficients);
      },
    },
  ];
}

function dense(inputs: number, outputs: number): Kernel[] {
  const x = random<Tensor2D>(batch, inputs);
  const dy = random<Tensor2D>(batch, outputs);
  const matrix = random<Tensor2D>(inputs, outputs);
  const target = allocatePinned(inputs * outputs);
  const operations = 2 * batch * inputs * outputs;
  const name = `dense ${inputs} to ${outputs}`;
  return [
    { name, operations, run: (k) => void k.matMul(k.operand(x), k.operand(matrix), false, false) },
    {
      name: `${name}, matrix gradient into the send buffer`,
      operations,
      run: (k) => {
        const gradient = k.denseGradient(x, dy);
        if (typeof gradient === 'function') gradient(target);
        else k.store(gradient, target);
      },
    },
    {
      name: `${name}, input gradient`,
      operations,
      run: (k) => void k.matMul(k.operand(dy), k.operand(matrix), false, true),
    },
  ];
}

function others(): Kernel[] {
  const wide = random<Tensor2D>(batch, 3136);
  const logits = random<Tensor2D>(batch, 10);
  const labels = tf.zeros<Rank.R1>([batch], 'int32');
  return [
    { name: 'Dropout 3136', run: (k) => void k.dropout(wide, 0.25, [1, 2], [0, 3, 4]) },
    { name: 'softmax cross-entropy', run: (k) => void k.softmaxCrossEntropy(logits, labels) },
    adam(),
  ];
}

function adam(): Kernel {
  const sizes = [3136 * 512, 512 * 512, 65_000];
  const count = sizes.reduce((total, size) => total + size, 0);
  const states = new Map<Kernels, AdamState>(
    [own, reference].map((k) => [k, k.adam(new Float32Array(count), sizes, 0.9, 0.999)]),
  );
  const gradient = allocatePinned(count);
  gradient.fill(1e-3);
  const step = { stepSize: 1e-3, correction: 1, epsilon: 1e-8 };
  return {
    name: `Adam, ${count} parameters`,
    run: (k) => states.get(k)?.apply(gradient, step),
  };
}

const kernels = [
  ...convolution(28, 32, 32),
  ...convolution(14, 32, 64),
  ...convolution(14, 64, 64),
  ...batchNorm(28, 32, { activation: 'relu', pool: false }),
  ...batchNorm(28, 32, { activation: 'relu', pool: true }),
  ...dense(3136, 512),
  ...dense(512, 512),
  ...others(),
];

function timed(kernel: Kernel, implementation: Kernels): number {
  const startedMs = performance.now();
  tf.tidy(() => {
    kernel.run(implementation);
  });
  return performance.now() - startedMs;
}

console.log(
  `${machineLine()}, ${engine.describe()}, ${precision}, batch ${batch}, ${threads} ${threads === 1 ? 'thread' : 'threads'}\n`,
);
console.log('| kernel | Lockstep, ms | TensorFlow, ms | ratio | GFLOP/s |');
console.log('| --- | --- | --- | --- | --- |');
for (const kernel of kernels) {
  const times = Array.from(
    { length: rounds + 3 },
    () => [timed(kernel, own), timed(kernel, reference)] as const,
  );
  const [ownMs, referenceMs] = [0, 1].map((side) => median(times.slice(3).map((pair) => pair[side] ?? 0)));
  if (ownMs === undefined || referenceMs === undefined) continue;
  const rate = kernel.operations === undefined ? '' : (kernel.operations / ownMs / 1e6).toFixed(0);
  console.log(
    `| ${kernel.name} | ${ownMs.toFixed(2)} | ${referenceMs.toFixed(2)} | ${(referenceMs / ownMs).toFixed(2)}x | ${rate} |`,
  );
}
process.exit();
