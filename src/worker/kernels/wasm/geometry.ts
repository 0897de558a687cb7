/** Shapes and paddings of convolutions and max-pools, as the functions of the WebAssembly module take them. */

import type { ConvWindow, PoolWindow } from '../kernels.js';

/** A convolution's sizes, channels last. */
export interface ConvGeometry {
  readonly images: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly outHeight: number;
  readonly outWidth: number;
  readonly outChannels: number;
  readonly kernelHeight: number;
  readonly kernelWidth: number;
  readonly strides: readonly [number, number];
  readonly dilations: readonly [number, number];
  /** Rows of padding before the first row of pixels. */
  readonly top: number;
  /** Columns of padding before the first column of pixels. */
  readonly left: number;
}

/** A max-pool's sizes, channels last; `top` and `left` are as in `ConvGeometry`. */
export interface PoolGeometry {
  readonly images: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly outHeight: number;
  readonly outWidth: number;
  readonly size: readonly [number, number];
  readonly strides: readonly [number, number];
  readonly top: number;
  readonly left: number;
}

/** `xShape` is [images, height, width, channels], `filterShape` is [kernelHeight, kernelWidth, channels, outChannels]. */
export function convGeometry(
  xShape: readonly number[],
  filterShape: readonly number[],
  { strides, dilations, padding }: ConvWindow,
): ConvGeometry {
  const [images = 0, height = 0, width = 0, channels = 0] = xShape;
  const [kernelHeight = 0, kernelWidth = 0, , outChannels = 0] = filterShape;
  const vertical = windowsAlong(height, kernelHeight, strides[0], dilations[0], padding);
  const horizontal = windowsAlong(width, kernelWidth, strides[1], dilations[1], padding);
  return {
    images,
    height,
    width,
    channels,
    kernelHeight,
    kernelWidth,
    outChannels,
    strides,
    dilations,
    outHeight: vertical.count,
    outWidth: horizontal.count,
    top: vertical.before,
    left: horizontal.before,
  };
}

/** `xShape` is [images, height, width, channels]. */
export function poolGeometry(
  xShape: readonly number[],
  { size, strides, padding }: PoolWindow,
): PoolGeometry {
  const [images = 0, height = 0, width = 0, channels = 0] = xShape;
  const vertical = windowsAlong(height, size[0], strides[0], 1, padding);
  const horizontal = windowsAlong(width, size[1], strides[1], 1, padding);
  return {
    images,
    height,
    width,
    channels,
    size,
    strides,
    outHeight: vertical.count,
    outWidth: horizontal.count,
    top: vertical.before,
    left: horizontal.before,
  };
}

/** Returns the number of windows along one axis and the padding before the first element, as TensorFlow defines them. */
function windowsAlong(
  size: number,
  window: number,
  stride: number,
  dilation: number,
  padding: 'same' | 'valid',
): { count: number; before: number } {
  const reach = (window - 1) * dilation + 1;
  if (padding === 'valid') return { count: Math.floor((size - reach) / stride) + 1, before: 0 };
  const count = Math.ceil(size / stride);
  return { count, before: Math.floor(Math.max(0, (count - 1) * stride + reach - size) / 2) };
}
