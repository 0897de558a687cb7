import { describe, expect, it } from 'vitest';
import { TensorflowKernels } from '../../src/worker/kernels/tensorflow.js';
import { roundToBfloat16 } from '../support/bfloat16.js';
import { engineFor } from '../support/in-process.js';

describe('products in bfloat16', () => {
  it('round both factors and the float32 sum to bfloat16 and leak no tensor', async () => {
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
          const term =
            roundToBfloat16(a[r * inner + k] as number) * roundToBfloat16(b[k * columns + c] as number);
          exact += term;
          size += Math.abs(term);
        }
        const got = result[r * columns + c] as number;
        expect(got).toBe(roundToBfloat16(got));
        // The bound is half a unit in the last of 8 bits, plus the rounding of the float32 sum.
        expect(Math.abs(got - exact)).toBeLessThanOrEqual(2 ** -8 * Math.abs(exact) + 1e-6 * size);
      }
    }
  });
});
