/** Checks after loading that the GPU computes and that values can be read without a turn of the event loop. */

import { DeviceLostError, EngineError } from '../../../shared/errors.js';
import type { Tensorflow } from '../../../api/tensorflow.js';

/** Multiplies two matrices of whole numbers, whose product is exact in float32 in any order of sums. @throws EngineError */
export function probeProduct(tf: Tensorflow, adapter: string): void {
  const size = 37;
  const left = Float32Array.from({ length: size * size }, (_, i) => (i % 7) - 3);
  const right = Float32Array.from({ length: size * size }, (_, i) => (i % 5) - 2);
  const got = readable(adapter, () =>
    tf.tidy(() =>
      tf.matMul(tf.tensor2d(left, [size, size]), tf.tensor2d(right, [size, size])).dataSync<'float32'>(),
    ),
  );
  for (let at = 0; at < size * size; at++) {
    let expected = 0;
    for (let k = 0; k < size; k++)
      expected += (left[Math.floor(at / size) * size + k] ?? 0) * (right[k * size + (at % size)] ?? 0);
    if (got[at] === expected) continue;
    throw new EngineError(
      `WebGPU on ${adapter}: expected element ${at} of a product to be ${expected}, got ${String(got[at])}. ` +
        "Update the GPU's driver, or choose another engine with --engine.",
    );
  }
}

/** Calls `read`. A device that does not answer the first time is no lost device, after which another start would help. */
function readable<T>(adapter: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof DeviceLostError)) throw error;
    throw new EngineError(
      `WebGPU on ${adapter}: expected to read a product, got "${error.message}" ` +
        "Update the GPU's driver, use a release of Node with long-term support, or choose another engine with --engine.",
      {},
      error,
    );
  }
}
