import os from 'node:os';
import type { Tensor, Tensor2D } from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { engineHost } from '../../src/worker/engine/cache.js';
import type { Engine } from '../../src/worker/engine/engine.js';
import { identityOf } from '../../src/worker/engine/identity.js';
import { loadEngine } from '../../src/worker/engine/load.js';
import type { GpuBackend } from '../../src/worker/engine/webgpu/gpu-types.js';
import { ReadBatch, readCounters } from '../../src/worker/engine/webgpu/read-batch.js';
import type { BaseKernels } from '../../src/worker/kernels/base-kernels.js';
import { kernelsOf } from '../../src/worker/kernels/choose.js';
import { composedDropout } from '../../src/worker/kernels/composed-dropout.js';
import { PortableKernels } from '../../src/worker/kernels/portable.js';
import { WebgpuKernels } from '../../src/worker/kernels/webgpu/webgpu.js';
import { engineFor } from '../support/in-process.js';
import { gpuTitle, missingGpu, useSoftwareGpu } from '../support/software-gpu.js';

/** Runs `body` on tfjs's JavaScript backend. */
function onCpu<T>({ tf }: Engine, body: () => T): T {
  const backend = tf.engine() as unknown as { backendName: string; backendInstance: unknown };
  const before = { backendName: backend.backendName, backendInstance: backend.backendInstance };
  Object.assign(backend, { backendName: 'cpu', backendInstance: tf.findBackend('cpu') });
  try {
    return body();
  } finally {
    Object.assign(backend, before);
  }
}

describe.skipIf(missingGpu !== undefined)(gpuTitle('the engine webgpu on a software driver'), () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await engineFor('webgpu');
  });

  it('refuses the driver with its name unless it is allowed', async () => {
    useSoftwareGpu();
    const host = engineHost(process.env, os.homedir());
    await expect(loadEngine({ choice: 'webgpu', threads: 1, host, warn: () => undefined })).rejects.toThrow(
      new RegExp(`software adapter ${engine.device.name.slice(0, 20)}.*--allow-software-gpu`),
    );
  });

  it('names the adapters that exist if none has the wanted name', async () => {
    const host = engineHost(process.env, os.homedir());
    const adapter = { kind: 'name', name: 'no such GPU' } as const;
    const warn = (): void => undefined;
    await expect(
      loadEngine({ choice: 'webgpu', threads: 1, host, allowSoftwareGpu: true, adapter, warn }),
    ).rejects.toThrow(
      /name contains "no such GPU", got "(SwiftShader|llvmpipe).*"\. Correct LOCKSTEP_WEBGPU_ADAPTERS/,
    );
  });

  it('refuses bfloat16 by name', () => {
    expect(() => kernelsOf(engine, 'bfloat16')).toThrow(
      /engine "webgpu" computes in float32 only, got "bfloat16"/,
    );
  });

  it('has the adapter, the versions and, on a software driver, the processor in its identity', () => {
    const identity = identityOf(engine, 'webgpu');
    expect(identity.device).toBe(`gpu ${engine.device.name}`);
    expect(identity.device).toMatch(/swiftshader|llvmpipe/i);
    expect(identity.engine).toBe('webgpu 0.6.2, tfjs-backend-webgpu 4.22.0');
    expect(identity.cpu).not.toBe('any');
    expect(Object.keys(engine.files).some((name) => name.endsWith('dawn.node'))).toBe(true);
  });

  it('adds the rows of a segment in order', () => {
    const { tf } = engine;
    const columns = [1e8, 1, -1e8, 3, 2.5];
    const x = tf.tensor2d(
      columns.flatMap((value) => [value, -value]),
      [5, 2],
    );
    const ids = tf.tensor1d([2, 2, 2, 0, 7], 'int32');
    const sums = tf.unsortedSegmentSum(x, ids, 4).arraySync();
    // In another order, for example 1e8 - 1e8 + 1, the sum of the segment 2 is 1 instead of 0.
    expect(sums).toEqual([
      [3, -3],
      [0, 0],
      [0, 0],
      [0, 0],
    ]);
  });

  it('computes the ops that tfjs adds with atomic operations', () => {
    const { tf } = engine;
    const indices = tf.tensor2d([[1], [1], [3]], [3, 1], 'int32');
    expect(tf.scatterND(indices, tf.tensor1d([0.5, 0.25, 4]), [4]).arraySync()).toEqual([0, 0.75, 0, 4]);
    const words = tf.tensor1d([2, 0, 2], 'int32');
    const gradient = tf.grad((table: Tensor) => tf.sum(tf.square(tf.gather(table, words))));
    expect(gradient(tf.tensor2d([1, 2, 3, 4, 5, 6], [3, 2])).arraySync()).toEqual([
      [2, 4],
      [0, 0],
      [20, 24],
    ]);
    const dense = tf.bincount(words, tf.tensor1d([0.5, 1, 2]), 3);
    expect([...dense.dataSync()]).toEqual([1, 0, 2.5]);
  });

  it('reads tensors together, also after they were disposed', () => {
    const { tf } = engine;
    const backend = tf.backend() as unknown as GpuBackend;
    const one = tf.add(tf.tensor1d([1, 2, 3]), 1);
    const other = tf.add(tf.range(0, 600), 0.5);
    const batch = new ReadBatch(backend);
    const values = [one, other].map(({ dataId }) => batch.add(dataId));
    tf.dispose([one, other]);
    // This tensor may get the memory of the first one.
    tf.dispose(tf.mul(tf.tensor1d([7, 7, 7]), 2));
    const { reads } = readCounters;
    expect([...(values[0]?.() ?? [])]).toEqual([2, 3, 4]);
    expect([...(values[1]?.() ?? [])]).toEqual(Array.from({ length: 600 }, (_, i) => i + 0.5));
    expect(readCounters.reads).toBe(reads + 1);
  });

  it('reads complex, boolean, empty and integer tensors', () => {
    const { tf } = engine;
    const complex = tf.complex(tf.add(tf.tensor1d([1, 2]), 1), tf.tensor1d([3, 4]));
    expect([...complex.dataSync()]).toEqual([2, 3, 3, 4]);
    expect([...tf.greater(tf.tensor1d([1, 5]), 2).dataSync()]).toEqual([0, 1]);
    expect([...tf.zeros([0, 3]).dataSync()]).toEqual([]);
    expect([...tf.add(tf.tensor1d([1, 2], 'int32'), tf.scalar(1, 'int32')).dataSync()]).toEqual([2, 3]);
  });

  it('converts whole numbers and booleans, and transposes the result', () => {
    const { tf } = engine;
    const whole = tf.add(tf.tensor3d([1, 2, 3, 4, 5, 6], [1, 2, 3], 'int32'), tf.scalar(1, 'int32'));
    const floats = tf.cast(whole, 'float32').dataSync();
    expect(floats).toBeInstanceOf(Float32Array);
    expect([...floats]).toEqual([2, 3, 4, 5, 6, 7]);
    const transposed = tf.transpose(tf.cast(tf.greater(whole, 4), 'float32'), [1, 0, 2]);
    expect([...transposed.dataSync()]).toEqual([0, 0, 0, 1, 1, 1]);
  });

  it('draws the numbers of Philox and drops the values that the host would drop', () => {
    const { tf } = engine;
    const [own, host] = [new WebgpuKernels(tf), new PortableKernels(tf)];
    const [key, counter] = [[0x12345678, 1] as const, [0xfffffffe, 7, 0x9abcdef0] as const];
    const numbers = own.philoxUniform(3, 8, key, counter).dataSync();
    expect([...numbers]).toEqual([...host.philoxUniform(3, 8, key, counter).dataSync()]);
    const x = tf.randomNormal([3, 2, 3], 0, 1, 'float32', 5);
    const dropped = own.dropout(x, 0.3, key, counter);
    const expected = tf.tidy(() => composedDropout(tf, host, x, 0.3, key, counter));
    expect([...dropped.dataSync()].map((value) => value + 0)).toEqual(
      [...expected.dataSync()].map((value) => value + 0),
    );
  });

  it('computes moments as float64 does, over more than one block of rows', () => {
    const { tf } = engine;
    const rows = 150;
    const values = Float32Array.from(
      { length: rows * 3 },
      (_, i) => 1000 + Math.sin(i * 1.7) * (1 + (i % 3)),
    );
    const { mean, m2 } = new WebgpuKernels(tf).moments(tf.tensor2d(values, [rows, 3]));
    for (let c = 0; c < 3; c++) {
      const column = Array.from({ length: rows }, (_, row) => values[row * 3 + c] ?? 0);
      const average = column.reduce((sum, value) => sum + value, 0) / rows;
      const squares = column.reduce((sum, value) => sum + (value - average) ** 2, 0);
      expect(Math.abs((mean[c] ?? 0) - average)).toBeLessThan(1e-4);
      expect(Math.abs((m2[c] ?? 0) / squares - 1)).toBeLessThan(1e-4);
    }
  });

  it.each([
    { activation: 'linear', pool: false },
    { activation: 'relu', pool: false },
    { activation: 'linear', pool: true },
    { activation: 'relu', pool: true },
    { activation: 'relu6', pool: false },
    { activation: 'relu6', pool: true },
  ] as const)('normalizes with the tail $activation, $pool as the JavaScript engine does', (tail) => {
    const { tf } = engine;
    const shape: [number, number, number, number] = [2, 4, 6, 3];
    const x = tf.randomNormal(shape, 0.5, 1, 'float32', 11);
    const dy = tf.randomNormal(tail.pool ? [2, 2, 3, 3] : shape, 0, 1, 'float32', 12);
    const affine = Float32Array.of(0.5, 0.4, 0.6, 1.5, -0.5, 2, 0.1, 0.2, -0.3);
    const coefficients = Float32Array.of(1.5, -0.5, 2, 0.1, 0.2, -0.3, 0.01, 0.02, 0.03);
    const [xs, dys] = [x.dataSync<'float32'>(), dy.dataSync<'float32'>()];
    const all = (kernels: BaseKernels, input: Tensor, gradient: Tensor): number[][] => {
      const { y, sums, inputGradient } = kernels.batchNorm(input, affine, tail);
      const { dz, dzCentred } = sums(gradient);
      const dx = inputGradient(gradient, coefficients);
      return [[...y.dataSync()], [...dz], [...dzCentred], [...dx.dataSync()]];
    };
    const own = tf.tidy(() => ({ result: all(new WebgpuKernels(tf), x, dy) }));
    const reference = onCpu(engine, () =>
      tf.tidy(() => ({
        result: all(new PortableKernels(tf), tf.tensor4d(xs, shape), tf.tensor(dys, dy.shape)),
      })),
    );
    for (const [i, values] of own.result.entries())
      for (const [at, value] of values.entries())
        expect(Math.abs(value - (reference.result[i]?.[at] ?? Number.NaN))).toBeLessThan(2e-5);
  });

  it('sums the columns of more rows than a workgroup has invocations', () => {
    const { tf } = engine;
    const [rows, columns] = [1000, 5];
    const x = tf.randomNormal([10, rows / 10, columns], 0.3, 1, 'float32', 21);
    const values = x.dataSync();
    const sums = new WebgpuKernels(tf).columnSums(x).dataSync();
    expect(sums).toHaveLength(columns);
    for (const [column, sum] of sums.entries()) {
      let expected = 0;
      for (let row = 0; row < rows; row++) expected += values[row * columns + column] ?? 0;
      expect(Math.abs(sum - expected)).toBeLessThan(1e-3);
    }
  });

  it.each([3, 10, 300])('has the cross-entropy of %i classes and its gradient', (classes) => {
    const { tf } = engine;
    const rows = 7;
    const logits = tf.mul<Tensor2D>(tf.randomNormal([rows, classes], 0, 1, 'float32', 22), 30);
    const labels = Int32Array.from({ length: rows }, (_, row) => (row * 5) % classes);
    const { losses, gradient } = new WebgpuKernels(tf).softmaxCrossEntropy(
      logits,
      tf.tensor1d(labels, 'int32'),
    );
    const [gotLosses, got] = [losses.arraySync(), gradient.arraySync()];
    for (const [row, values] of logits.arraySync().entries()) {
      const label = labels[row] ?? 0;
      const largest = Math.max(...values);
      const sum = values.reduce((total, value) => total + Math.exp(value - largest), 0);
      const loss = Math.log(sum) + largest - (values[label] ?? 0);
      expect(Math.abs((gotLosses[row] ?? Number.NaN) - loss)).toBeLessThan(1e-5 * (1 + loss));
      for (const [c, value] of values.entries()) {
        const expected = Math.exp(value - largest) / sum - (c === label ? 1 : 0);
        expect(Math.abs((got[row]?.[c] ?? Number.NaN) - expected)).toBeLessThan(2e-5);
      }
    }
  });

  it('stops the gradient of a ReLU where its result is zero', () => {
    const { tf } = engine;
    const [dy, y] = [tf.tensor1d([1, 2, 3, 4]), tf.tensor1d([0.5, 0, 2, -0])];
    expect(new WebgpuKernels(tf).reluGradient(dy, y).arraySync()).toEqual([1, 0, 3, 0]);
  });

  // This test comes last, because no test after it has a device.
  it('reports a lost device with an EngineError, in the middle of a computation', () => {
    const { tf } = engine;
    const backend = tf.backend() as unknown as GpuBackend;
    const y = tf.add(tf.tensor1d([1, 2, 3]), 1);
    backend.device.destroy();
    expect(() => y.dataSync()).toThrow(/the device was lost/);
  });
});
