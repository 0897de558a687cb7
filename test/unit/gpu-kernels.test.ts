/**
 * The kernels that native TensorFlow uses on a GPU, which are composed of TensorFlow's ops, computed on the CPU and compared with
 * Lockstep's own ops.
 */
import type { Tensor, Tensor1D, Tensor2D, Tensor4D } from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { allocatePinned } from '../../src/shared/memory/pinned-vector.js';
import type { Engine } from '../../src/worker/engine/engine.js';
import type { BatchNormTail, Kernels } from '../../src/worker/kernels/kernels.js';
import { TensorflowKernels } from '../../src/worker/kernels/tensorflow.js';
import { gpuKernels } from '../support/gpu-kernels.js';
import { engineFor } from '../support/in-process.js';

let engine: Engine;
let own: Kernels;
let onGpu: Kernels;
beforeAll(async () => {
  engine = await engineFor('tensorflow');
  own = new TensorflowKernels(engine.tf, engine.memory);
  onGpu = gpuKernels(engine);
});

const random = <T extends Tensor>(seed: number, ...shape: number[]): T =>
  engine.tf.randomNormal(shape, 0.2, 1, 'float32', seed) as T;

const valuesOf = (result: Tensor | ArrayLike<number>): readonly number[] =>
  Array.from('dataSync' in result ? result.dataSync<'float32'>() : result);

/** The largest difference, relative to the largest expected value. */
function difference(got: Tensor | ArrayLike<number>, expected: Tensor | ArrayLike<number>): number {
  const [left, right] = [valuesOf(got), valuesOf(expected)];
  expect(left).toHaveLength(right.length);
  const largest = Math.max(...right.map(Math.abs));
  expect(largest).toBeGreaterThan(0);
  return Math.max(...left.map((value, at) => Math.abs(value - (right[at] ?? Number.NaN)))) / largest;
}

/** Both kernels compute with float32, so they differ by the rounding of sums of some thousand products at most. */
const rounding = 2e-6;

function compare(results: (kernels: Kernels) => readonly (Tensor | ArrayLike<number>)[]): void {
  engine.tf.tidy(() => {
    const [got, expected] = [results(onGpu), results(own)];
    expect(got.length).toBe(expected.length);
    for (const [at, value] of got.entries())
      expect(difference(value, expected[at] ?? []), `result ${at}`).toBeLessThan(rounding);
  });
}

describe('the kernels for a GPU', () => {
  it('are not the own ones', () => {
    expect(own.name).toMatch(/^own /);
    expect(onGpu.name).toBe('tensorflow');
  });

  it.each([
    ['own shapes', [6, 14, 14, 16], [3, 3, 16, 32], { strides: [1, 1], dilations: [1, 1], padding: 'same' }],
    ['strides', [6, 15, 13, 3], [5, 5, 3, 8], { strides: [2, 2], dilations: [1, 1], padding: 'valid' }],
  ] as const)('convolve like them, with both gradients: %s', (_, xShape, filterShape, window) => {
    compare((k) => {
      const [x, filter] = [random<Tensor4D>(1, ...xShape), random<Tensor4D>(2, ...filterShape)];
      const y = k.conv2d(x, filter, window);
      const dy = random<Tensor4D>(3, ...y.shape);
      return [
        y,
        k.conv2dFilterGradient(x, filterShape, dy, window),
        k.conv2dInputGradient(x.shape, filter, dy, window),
      ];
    });
  });

  it('take the maximum like them, and give the gradient of a tie to the first one', () => {
    const window = { size: [2, 2], strides: [2, 2], padding: 'same' } as const;
    compare((k) => {
      const { y, gradient } = k.maxPool(random<Tensor4D>(4, 3, 8, 8, 5), window);
      return [y, gradient(random<Tensor4D>(5, ...y.shape))];
    });
    const { tf } = engine;
    tf.tidy(() => {
      const { gradient } = onGpu.maxPool(tf.ones([1, 2, 2, 1]), window);
      expect(valuesOf(gradient(tf.ones([1, 1, 1, 1])))).toEqual([1, 0, 0, 0]);
    });
  });

  it.each([
    [{ activation: 'relu', pool: false }, [6, 8, 8, 16]],
    [{ activation: 'relu', pool: true }, [6, 8, 8, 16]],
    [{ activation: 'relu6', pool: false }, [6, 8, 8, 16]],
    [{ activation: 'linear', pool: false }, [40, 32]],
  ] as const)('normalize batches like them: %o', (tail: BatchNormTail, shape: readonly number[]) => {
    const channels = shape.at(-1) ?? 0;
    const affine = Float32Array.from({ length: 3 * channels }, (_, i) => Math.cos(i));
    compare((k) => {
      const x = random(6, ...shape);
      const { mean, m2 } = k.moments(x);
      const { y, sums, inputGradient } = k.batchNorm(x, affine, tail, true);
      const dy = random(7, ...y.shape);
      const { dz, dzCentred } = sums(dy);
      return [mean, m2, y, dz, dzCentred, inputGradient(dy, affine)];
    });
  });

  it('multiply, add a bias, sum columns and compute the cross-entropy like them', () => {
    const { tf } = engine;
    compare((k) => {
      const [x, w, dy] = [
        random<Tensor2D>(8, 33, 200),
        random<Tensor2D>(9, 200, 16),
        random<Tensor2D>(10, 33, 16),
      ];
      const labels = tf.tensor1d(
        Array.from({ length: 33 }, (_, i) => i % 16),
        'int32',
      );
      const { losses, gradient } = k.softmaxCrossEntropy(dy, labels);
      const target = allocatePinned(200 * 16);
      const dense = k.denseGradient(x, dy);
      if (typeof dense === 'function') dense(target);
      else k.store(dense, target);
      const y = k.relu(k.biasAdd(k.matMul(x, w, false, false), random<Tensor1D>(11, 16)));
      return [
        y,
        k.reluGradient(dy, y),
        k.matMul(dy, w, false, true),
        k.columnSums(dy),
        losses,
        gradient,
        target,
      ];
    });
  });

  it('draw the same random numbers, so that a Dropout has the same bits', () => {
    const { tf } = engine;
    const [got, expected] = [onGpu, own].map((k) => {
      const dropped = k.dropout(tf.ones([70, 3135]), 0.3, [1, 2], [3, 4, 5]);
      const values = valuesOf(dropped);
      dropped.dispose();
      return values;
    });
    expect(got).toEqual(expected);
    expect(new Set(got).size).toBe(2);
  });

  it('update with Adam like them', () => {
    const sizes = [3000, 7];
    const count = 3007;
    const results = [onGpu, own].map((k) => {
      const state = k.adam(
        Float32Array.from({ length: count }, (_, i) => Math.sin(i)),
        sizes,
        0.9,
        0.999,
      );
      const gradient = allocatePinned(count);
      for (let step = 1; step <= 3; step++) {
        gradient.forEach((_, i) => (gradient[i] = Math.cos(i * step)));
        for (const parameter of state.apply(gradient, {
          stepSize: 1e-2 / step,
          correction: 0.1 * step,
          epsilon: 1e-8,
        }))
          parameter.dispose();
      }
      const vectors = state.read();
      state.dispose();
      return [...vectors.values()].flatMap((vector) => Array.from(vector));
    });
    expect(difference(results[0] ?? [], results[1] ?? [])).toBeLessThan(rounding);
  });
});
