import { describe, expect, it } from 'vitest';
import type { Tensorflow } from '../../src/api/tensorflow.js';
import { DeviceLostError, EngineError } from '../../src/shared/errors.js';
import { probeProduct } from '../../src/worker/engine/webgpu/probe.js';
import { waitUntilMapped } from '../../src/worker/engine/webgpu/pump.js';
import type { GpuBuffer } from '../../src/worker/engine/webgpu/gpu-types.js';

const adapter = 'nvidia, hopper, H200';

interface Matrix {
  readonly values: Float32Array;
  readonly size: number;
}

/** The functions of tfjs that the probe calls, on a GPU whose product of two matrices is `product`. */
const gpuWith = (product: (left: Matrix, right: Matrix) => Float32Array): Tensorflow =>
  ({
    tidy: (body: () => unknown) => body(),
    tensor2d: (values: Float32Array, [size]: [number, number]): Matrix => ({ values, size }),
    matMul: (left: Matrix, right: Matrix) => ({ dataSync: () => product(left, right) }),
  }) as unknown as Tensorflow;

/** Adds in the opposite order, which gives the same sums of whole numbers. */
function multiply({ values: left, size }: Matrix, { values: right }: Matrix): Float32Array {
  const product = new Float32Array(size * size);
  for (let k = size - 1; k >= 0; k--)
    for (let row = 0; row < size; row++)
      for (let column = 0; column < size; column++) {
        const at = row * size + column;
        product[at] = (product[at] ?? 0) + (left[row * size + k] ?? 0) * (right[k * size + column] ?? 0);
      }
  return product;
}

/** Runs the probe and returns its error. */
function errorOf(tf: Tensorflow): unknown {
  try {
    probeProduct(tf, adapter);
    return undefined;
  } catch (error) {
    return error;
  }
}

describe('the check of a GPU when the engine webgpu loads', () => {
  it('accepts the product, in any order of sums', () => {
    expect(errorOf(gpuWith(multiply))).toBeUndefined();
  });

  it.each([
    ['another number', 4],
    ['no number', Number.NaN],
  ])('refuses a GPU that computes %s for one element, and names it', (_, wrong) => {
    const error = errorOf(gpuWith((left, right) => multiply(left, right).fill(wrong, 100, 101)));
    expect(error).toBeInstanceOf(EngineError);
    expect(String(error)).toMatch(
      new RegExp(
        `on ${adapter}: expected element 100 of a product to be -?\\d+, got ${wrong}\\. Update the GPU's driver`,
      ),
    );
  });

  it.each(['unmapped', 'pending'] as const)(
    'refuses a GPU that does not answer (%s), as an error that another start would not solve',
    (mapState) => {
      const buffer = { mapState } as GpuBuffer;
      expect(() => waitUntilMapped(buffer)).toThrow(DeviceLostError);
      const error = errorOf(
        gpuWith(() => {
          waitUntilMapped(buffer);
          return new Float32Array(0);
        }),
      );
      expect(error).toBeInstanceOf(EngineError);
      expect(error).not.toBeInstanceOf(DeviceLostError);
      expect(String(error)).toMatch(
        /on nvidia, hopper, H200: expected to read a product, got ".*Reading from the GPU.*release of Node.*--engine/,
      );
    },
  );
});
