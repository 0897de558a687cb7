/**
 * Matrix products and convolutions on tensors' data: geometry and scratch memory around native/wasm/kernels (matrix.ts, convolution.ts).
 * Arguments and results are those of tfjs's kernels, so that the executor's kernels and tfjs's registry share them. The caller owns
 * the results. Every function throws an EngineError if the heap has no memory left.
 */

import type { TensorInfo } from '@tensorflow/tfjs-core';
import { invariant } from '../../../shared/errors.js';
import { elementCount } from '../../../shared/model/layout.js';
import type { ConvGeometry } from './geometry.js';
import type { WasmModule } from './module.js';

/** Addresses of `blockRows` rows (native/wasm/kernels/panels.ts), and up to three that the kernels add. */
export const tableBytes = (64 + 3) * 4;
/** Number of bytes that a load of four elements may read beyond the last run of elements. */
const slackBytes = 12;

const panelsOf = (columns: number): number => Math.ceil(columns / 8);

/** Bytes of a right factor [rows, columns] in panels. */
export const panelBytes = (rows: number, columns: number): number => panelsOf(columns) * rows * 32;

type Data = Pick<TensorInfo, 'dataId'>;

/**
 * Writes the product of [rows, inner] and [inner, columns] to the address `to`. Each factor is an address and a flag that is true
 * if the matrix is stored transposed.
 */
function product(
  module: WasmModule,
  [a, aTransposed]: readonly [number, boolean],
  [b, bTransposed]: readonly [number, boolean],
  [rows, inner, columns]: readonly [number, number, number],
  to: number,
): void {
  const panels = module.scratch('panels', panelsOf(columns) * inner * 32);
  const table = module.scratch('table', tableBytes);
  const [rowBytes, columnBytes] = bTransposed ? [4, inner * 4] : [columns * 4, 4];
  module.run.packPanels(b, inner, columns, rowBytes, columnBytes, panels, inner * 32);
  if (aTransposed) {
    // `a` is [inner, rows]. Loads of four elements read beyond a row count that is not a multiple of four, so it is copied first.
    const from = rows % 4 === 0 ? a : copied(module, a, inner * rows);
    module.run.multiplyTransposed(from, inner, rows, panels, columns, table, to);
  } else {
    module.run.multiply(a, rows, inner, panels, columns, table, to);
  }
}

/** Copies `count` floats to scratch memory that may be read `slackBytes` beyond its end. */
function copied(module: WasmModule, from: number, count: number): number {
  const copy = module.scratch('frame', count * 4 + slackBytes);
  module.floats(copy, count).set(module.floats(from, count));
  return copy;
}

/**
 * Returns the batched product of `a` and `b`, [batch, rows, columns], each matrix transposed first if its flag is set. A factor with
 * one matrix is used with every matrix of the other.
 */
export function multiply(
  module: WasmModule,
  a: TensorInfo,
  b: TensorInfo,
  transposeA: boolean,
  transposeB: boolean,
): TensorInfo {
  const [aRows = 0, aColumns = 0] = a.shape.slice(-2);
  const [bRows = 0, bColumns = 0] = b.shape.slice(-2);
  const [rows, inner] = transposeA ? [aColumns, aRows] : [aRows, aColumns];
  const columns = transposeB ? bRows : bColumns;
  const [aBatch, bBatch] = [a, b].map(({ shape }) => elementCount(shape.slice(0, -2))) as [number, number];
  const outer = aBatch > bBatch ? a.shape.slice(0, -2) : b.shape.slice(0, -2);
  const result = module.info([...outer, rows, columns]);
  for (let batch = 0; batch < Math.max(aBatch, bBatch); batch++) {
    product(
      module,
      [module.address(a) + (aBatch === 1 ? 0 : batch * rows * inner * 4), transposeA],
      [module.address(b) + (bBatch === 1 ? 0 : batch * inner * columns * 4), transposeB],
      [rows, inner, columns],
      module.address(result) + batch * rows * columns * 4,
    );
  }
  return result;
}

/**
 * Returns the address, height and width of a frame: scratch memory for one image with its padding. It is needed if a patch reaches
 * over the image's edge. Without a frame all three are 0.
 */
function frameOf(module: WasmModule, g: ConvGeometry, needed = false): [number, number, number] {
  const [height, width] = [
    (g.outHeight - 1) * g.strides[0] + (g.kernelHeight - 1) * g.dilations[0] + 1,
    (g.outWidth - 1) * g.strides[1] + (g.kernelWidth - 1) * g.dilations[1] + 1,
  ];
  const inside = g.top === 0 && g.left === 0 && height <= g.height && width <= g.width;
  if (inside && !needed) return [0, 0, 0];
  return [module.scratch('frame', height * width * g.channels * 4 + slackBytes), height, width];
}

/** Returns the convolution of `x` with `filter`, [images, outHeight, outWidth, outChannels]. */
export function convolve(module: WasmModule, x: Data, filter: Data, g: ConvGeometry): TensorInfo {
  const result = module.info([g.images, g.outHeight, g.outWidth, g.outChannels]);
  const rows = g.kernelHeight * g.kernelWidth * g.channels;
  const panels = module.scratch('panels', panelsOf(g.outChannels) * rows * 32);
  const packed = [g.outChannels * 4, 4, panels, rows * 32] as const;
  module.run.packPanels(module.address(filter), rows, g.outChannels, ...packed);
  convolvePacked(module, module.address(x), g, [1, 1], panels, module.address(result), frameOf(module, g));
  return result;
}

/** Convolves with a filter that is packed in `panels`; the pixels of `x` lie `spread` apart, with zeros between them. */
function convolvePacked(
  module: WasmModule,
  x: number,
  g: ConvGeometry,
  spread: readonly [number, number],
  panels: number,
  to: number,
  frame: readonly [number, number, number],
): void {
  module.run.convolve(
    x,
    g.images,
    g.height,
    g.width,
    g.channels,
    ...spread,
    g.top,
    g.left,
    ...frame,
    g.kernelHeight,
    g.kernelWidth,
    ...g.strides,
    ...g.dilations,
    panels,
    g.outHeight,
    g.outWidth,
    g.outChannels,
    module.scratch('table', tableBytes),
    to,
  );
}

/** Returns the gradient with respect to the filter, [kernelHeight, kernelWidth, channels, outChannels]. */
export function filterGradient(module: WasmModule, x: Data, dy: Data, g: ConvGeometry): TensorInfo {
  const result = module.info([g.kernelHeight, g.kernelWidth, g.channels, g.outChannels]);
  const panels = module.scratch('panels', panelsOf(g.outChannels) * g.outHeight * g.outWidth * 32);
  const stretch = g.dilations[1] === 1 ? g.kernelWidth * g.channels : g.channels;
  const frame = frameOf(module, g, stretch % 4 !== 0);
  module.run.filterGradient(
    module.address(x),
    g.images,
    g.height,
    g.width,
    g.channels,
    g.top,
    g.left,
    ...frame,
    g.kernelHeight,
    g.kernelWidth,
    ...g.strides,
    ...g.dilations,
    module.address(dy),
    g.outHeight,
    g.outWidth,
    g.outChannels,
    panels,
    module.scratch('table', tableBytes),
    module.address(result),
  );
  return result;
}

/**
 * Returns the gradient with respect to the input, [images, height, width, channels]: the convolution of `dy`, whose pixels are
 * spread by the strides, with the rotated filter.
 */
export function inputGradient(module: WasmModule, filter: Data, dy: Data, g: ConvGeometry): TensorInfo {
  const result = module.info([g.images, g.height, g.width, g.channels]);
  const taps = g.kernelHeight * g.kernelWidth;
  const panels = module.scratch('panels', panelsOf(g.channels) * taps * g.outChannels * 32);
  module.run.packRotatedFilter(module.address(filter), taps, g.channels, g.outChannels, panels);
  const turned: ConvGeometry = {
    ...g,
    height: g.outHeight,
    width: g.outWidth,
    channels: g.outChannels,
    outHeight: g.height,
    outWidth: g.width,
    outChannels: g.channels,
    strides: [1, 1],
    top: (g.kernelHeight - 1) * g.dilations[0] - g.top,
    left: (g.kernelWidth - 1) * g.dilations[1] - g.left,
  };
  invariant(turned.top >= 0 && turned.left >= 0, 'the padding is wider than the filter');
  const frame = frameOf(module, turned, g.strides[0] > 1 || g.strides[1] > 1);
  convolvePacked(module, module.address(dy), turned, g.strides, panels, module.address(result), frame);
  return result;
}
