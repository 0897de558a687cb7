/** Max-pools on tensors' data, for the executor's kernels and for tfjs's registry. The arithmetic is in native/wasm/kernels/pool.ts. */

import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { PoolGeometry } from './geometry.js';
import type { WasmModule } from './module.js';

/** Returns the pooled images, [images, outHeight, outWidth, channels], which belong to the caller. */
export function maxPool(module: WasmModule, x: TensorInfo, pool: PoolGeometry): TensorInfo {
  const y = module.info([pool.images, pool.outHeight, pool.outWidth, pool.channels]);
  walk(module, x, pool, module.address(y), 0);
  return y;
}

/** Returns the gradient with respect to `x`, which belongs to the caller; `dy` is the one with respect to the pooled images. */
export function maxPoolGradient(
  module: WasmModule,
  x: TensorInfo,
  dy: TensorInfo,
  pool: PoolGeometry,
): TensorInfo {
  const dx = module.info(x.shape);
  walk(module, x, pool, module.address(dy), module.address(dx));
  return dx;
}

/**
 * Runs the module's max-pool. With `dx` 0 it writes the pooled images to the address `y`. Otherwise it reads dy from `y` and writes
 * the gradient to the address `dx`.
 */
function walk(module: WasmModule, x: TensorInfo, pool: PoolGeometry, y: number, dx: number): void {
  const { images, height, width, channels, size, strides, top, left, outHeight, outWidth } = pool;
  module.run.maxPool(
    module.address(x),
    images,
    height,
    width,
    channels,
    ...size,
    ...strides,
    top,
    left,
    outHeight,
    outWidth,
    y,
    dx,
  );
}
