/** Max-pools on tensors' data, for the executor's kernels as well as for tfjs's registry; see native/wasm/kernels/pool.ts. */

import type { TensorInfo } from '@tensorflow/tfjs';
import type { PoolGeometry } from './geometry.js';
import type { WasmModule } from './module.js';

/** [images, outHeight, outWidth, channels], undisposed. */
export function maxPool(module: WasmModule, x: TensorInfo, pool: PoolGeometry): TensorInfo {
  const y = module.info([pool.images, pool.outHeight, pool.outWidth, pool.channels]);
  walk(module, x, pool, module.address(y), 0);
  return y;
}

/** The gradient by `x`, undisposed, from the one by the pooled images. */
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
