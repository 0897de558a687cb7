import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { hangMs } from '../support/eventually.js';

/** Prints hashes of the own ops' results. It runs in a new process, because TensorFlow's thread count can be set only once. */
const script = `
  import { createHash } from 'node:crypto';
  import os from 'node:os';
  import { engineHost } from './dist/worker/engine/cache.js';
  import { engineEnvironment } from './dist/worker/engine/environment.js';
  import { loadEngine } from './dist/worker/engine/load.js';
  import { TensorflowKernels } from './dist/worker/kernels/tensorflow.js';
  const threads = Number(process.argv.at(-1));
  Object.assign(process.env, engineEnvironment({ threads, device: 'cpu' }));
  const host = engineHost(process.env, os.homedir());
  const { tf, memory } = await loadEngine({ choice: 'tensorflow', threads, device: 'cpu', host, warn: console.error });
  const kernels = new TensorflowKernels(tf, memory);
  const sha = (values) => createHash('sha256').update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength)).digest('hex');
  const results = { name: kernels.name };
  // The shapes include ones with too little work for some threads. The last one has a single group of channels.
  for (const shape of [[33, 28, 28, 32], [64, 512], [5, 14, 14, 48], [40, 20, 20, 16]]) {
    const channels = shape.at(-1);
    const x = tf.randomNormal(shape, 0.3, 2, 'float32', 5);
    const affine = Float32Array.from({ length: 3 * channels }, (_, i) => Math.cos(i));
    for (const tail of [{ activation: 'relu', pool: false }, { activation: 'relu6', pool: false }, { activation: 'relu', pool: true }, { activation: 'linear', pool: false }]) {
      if (tail.pool && shape.length !== 4) continue;
      const { y, sums, inputGradient } = kernels.batchNorm(x, affine, tail, true);
      const dy = tf.randomNormal(y.shape, 0, 1, 'float32', 6);
      const { dz, dzCentred } = sums(dy);
      results[shape.join('x') + JSON.stringify(tail)] =
        [y.dataSync(), dz, dzCentred, inputGradient(dy, affine).dataSync()].map(sha);
    }
    const { mean, m2 } = kernels.moments(x);
    results[shape.join('x')] = [mean, m2].map(sha);
  }
  const window = { strides: [1, 1], padding: 'same', dilations: [1, 1] };
  for (const precision of ['float32', 'bfloat16']) {
    const products = new TensorflowKernels(tf, memory, precision);
    const gradient = new Float32Array(3136 * 64);
    const write = products.denseGradient(tf.randomNormal([33, 3136], 0, 1, 'float32', 8), tf.randomNormal([33, 64], 0, 1, 'float32', 9));
    // TensorFlow's ops compute bfloat16 on a CPU without its instructions; their bits depend on the number of threads.
    if (typeof write !== 'function') continue;
    write(gradient);
    results[precision + ' dense'] = sha(gradient);
    for (const [images, height, width, inputs, outputs] of [[20, 28, 28, 32, 32], [9, 7, 5, 16, 48]]) {
      const x = tf.randomNormal([images, height, width, inputs], 0.3, 2, 'float32', 5);
      const filter = tf.randomNormal([3, 3, inputs, outputs], 0, 1, 'float32', 6);
      const dy = tf.randomNormal([images, height, width, outputs], 0, 1, 'float32', 7);
      const [a, f, g] = [x, filter, dy].map((factor) => products.operand(factor, { filterShape: filter.shape, window }));
      results[[precision, height, width].join(' ')] = [
        products.conv2d(a, f, window),
        products.conv2dInputGradient(x.shape, f, g, window),
        products.conv2dFilterGradient(a, filter.shape, g, window),
      ].map((tensor) => sha(tensor.dataSync()));
    }
  }
  results.dropout = sha(kernels.dropout(tf.ones([70, 3135]), 0.3, [1, 2], [3, 4, 5]).dataSync());
  for (const kind of ['lstm', 'gru', 'simpleRnn']) {
    const gates = { lstm: 4, gru: 3, simpleRnn: 1 }[kind];
    const states = kind === 'lstm' ? 2 : 1;
    const random = (shape, seed) => tf.randomNormal(shape, 0, 1, 'float32', seed);
    const pass = kernels.recurrence(
      { kind, activation: 'tanh', recurrentActivation: 'sigmoid', backwards: kind === 'gru' },
      { projected: random([37, 5, gates * 19], 5), recurrentKernel: random([19, gates * 19], 6), bias: random([gates * 19], 7),
        mask: tf.cast(tf.greater(random([37, 5], 8), 0), 'float32'), dropout: random([37, 19], 9), initial: random([states, 37, 19], 10) });
    const last = Array.from({ length: states }, (_, state) => pass.last(state));
    const { projected, initial } = pass.backward(random([37, 5, 19], 11), last);
    results[kind] = [pass.hidden(), projected, initial()].map((tensor) => sha(tensor.dataSync()));
  }
  for (const columns of [19, 512]) {
    const random = (shape, seed) => tf.randomNormal(shape, 0.3, 2, 'float32', seed);
    const parameters = { gamma: random([columns], 5), beta: random([columns], 6), epsilon: 1e-3 };
    const pass = kernels.layerNorm(random([700, columns], 7), parameters);
    const { dx, dGamma, dBeta } = pass.gradients(random([700, columns], 8));
    results['layer norm ' + columns] = [pass.y, dx, dGamma, dBeta].map((tensor) => sha(tensor.dataSync()));
  }
  for (const [height, strides] of [[3, [1, 1]], [5, [2, 2]]]) {
    const random = (shape, seed) => tf.randomNormal(shape, 0, 1, 'float32', seed);
    const [x, filter] = [random([21, 9, 8, 19], 5), random([height, height, 19, 1], 6)];
    const convolution = kernels.depthwise({ filterShape: filter.shape, window: { ...window, strides } });
    const y = convolution.forward(x, filter);
    const gradients = [convolution.inputGradient(x.shape, filter, y), convolution.filterGradient(x, y)];
    results['depthwise ' + height] = [y, ...gradients].map((tensor) => sha(tensor.dataSync()));
  }
  const size = 300_001;
  const values = (scale) => Float32Array.from({ length: size }, (_, i) => Math.sin(i * scale));
  const adam = kernels.adam(values(1), [size - 3, 3], 0.9, 0.999);
  const [gradient, copy] = [values(2), new Float32Array(size)];
  adam.apply(gradient, { stepSize: 1e-3, correction: 0.03, epsilon: 1e-8 });
  const vectors = [...adam.read().values()];
  kernels.store(tf.tensor1d(gradient), copy);
  results.adam = [...vectors, copy].map(sha);
  console.log(JSON.stringify(results));`;

async function results(threads: number): Promise<Record<string, unknown>> {
  const args = ['--input-type=module', '-e', script, '--', String(threads)];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: hangMs });
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Record<string, unknown>;
}

describe("Lockstep's own ops", () => {
  it('return identical bits for every number of threads', async () => {
    const one = await results(1);
    expect(one['name']).toMatch(/^own/);
    const hasBfloat16 = (await readFile('/proc/cpuinfo', 'utf8')).includes('avx512_bf16');
    expect(Object.keys(one)).toHaveLength(hasBfloat16 ? 35 : 32);
    for (const threads of [2, 3, 7]) expect(await results(threads), `${threads} threads`).toEqual(one);
  });
});
