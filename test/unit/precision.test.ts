import type { Rank } from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { TensorflowKernels } from '../../src/worker/kernels/tensorflow.js';
import { engineFor } from '../support/in-process.js';

/** Rounds to the nearest bfloat16, ties to even: the upper half of a float32. */
function rounded(value: number): number {
  const words = new Uint32Array(Float32Array.of(value).buffer);
  const word = words[0] as number;
  words[0] = (word + 0x7fff + ((word >>> 16) & 1)) & 0xffff0000;
  return new Float32Array(words.buffer)[0] as number;
}

describe('products in bfloat16', () => {
  it('round both factors and the float32 sum, and leave float32 behind', async () => {
    const { tf, memory } = await engineFor('tensorflow');
    const kernels = new TensorflowKernels(tf, memory, 'bfloat16');
    const [rows, inner, columns] = [5, 40, 3];
    const value = (i: number): number => Math.sin(i * 1.7) * 2 ** ((i % 7) - 3);
    const a = Float32Array.from({ length: rows * inner }, (_, i) => value(i));
    const b = Float32Array.from({ length: inner * columns }, (_, i) => value(i + 0.5));
    const before = tf.memory().numTensors;
    const result = tf.tidy(() => {
      const left = kernels.operand(tf.tensor2d(a, [rows, inner]));
      const right = kernels.operand(tf.tensor2d(b, [inner, columns]));
      return kernels.matMul(left, right, false, false).dataSync<'float32'>();
    });
    expect(tf.memory().numTensors).toBe(before);
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < columns; c++) {
        let exact = 0;
        let size = 0;
        for (let k = 0; k < inner; k++) {
          const term = rounded(a[r * inner + k] as number) * rounded(b[k * columns + c] as number);
          exact += term;
          size += Math.abs(term);
        }
        const got = result[r * columns + c] as number;
        expect(got).toBe(rounded(got));
        // Half a unit in the last of 8 bits, and the rounding of the float32 sum.
        expect(Math.abs(got - exact)).toBeLessThanOrEqual(2 ** -8 * Math.abs(exact) + 1e-6 * size);
      }
    }
  });

  it('convolve as float32 does, to the precision of eight bits, forward and backward', async () => {
    const { tf, memory } = await engineFor('tensorflow');
    const [full, compact] = (['float32', 'bfloat16'] as const).map(
      (precision) => new TensorflowKernels(tf, memory, precision),
    ) as [TensorflowKernels, TensorflowKernels];
    const window = { strides: [1, 1], padding: 'same', dilations: [1, 1] } as const;
    tf.tidy(() => {
      const x = tf.randomUniform<Rank.R4>([2, 6, 6, 4], -1, 1, 'float32', 3);
      const filter = tf.randomUniform<Rank.R4>([3, 3, 4, 8], -1, 1, 'float32', 4);
      const dy = tf.randomUniform<Rank.R4>([2, 6, 6, 8], -1, 1, 'float32', 5);
      const results = [full, compact].map((kernels) => {
        const [a, f, g] = [kernels.operand(x), kernels.operand(filter), kernels.operand(dy)];
        return [
          kernels.conv2d(a, f, window),
          kernels.conv2dFilterGradient(a, [3, 3, 4, 8], g, window),
          kernels.conv2dInputGradient([2, 6, 6, 4], f, g, window),
        ].map((tensor) => tensor.dataSync<'float32'>());
      });
      for (const [i, expected] of (results[0] ?? []).entries()) {
        const got = results[1]?.[i] ?? new Float32Array(0);
        const norm = (of: (k: number) => number): number => Math.hypot(...expected.map((_, k) => of(k)));
        const distance = norm((k) => (got[k] as number) - (expected[k] as number));
        const relative = distance / norm((k) => expected[k] as number);
        expect(relative).toBeGreaterThan(1e-5);
        expect(relative).toBeLessThan(2 ** -7);
      }
    });
  });
});
