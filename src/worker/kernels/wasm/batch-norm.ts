/**
 * BatchNorm and its tail on Lockstep's WebAssembly module. The module requires a multiple of four channels. Other inputs are padded
 * and the results are cut, which does not change the arithmetic of any channel.
 */

import type { Tensor } from '@tensorflow/tfjs-core';
import type { Tensorflow } from '../../../api/tensorflow.js';
import type { BatchMoments, BatchNormPass, BatchNormTail } from '../kernels.js';
import type { WasmModule } from './module.js';

const lanes = 4;
const channelsOf = (x: Tensor): number => x.shape.at(-1) ?? 1;
const padded = (channels: number): number => Math.ceil(channels / lanes) * lanes;

/** Returns `x` if its channels are a multiple of four, or else a copy padded with zeros, in the current tfjs scope. */
function inFours(tf: Tensorflow, x: Tensor): Tensor {
  const more = padded(channelsOf(x)) - channelsOf(x);
  return more === 0
    ? x
    : tf.pad(
        x,
        x.shape.map((_, axis): [number, number] => [0, axis === x.rank - 1 ? more : 0]),
      );
}

/** Calls `body` with the address of `x` after padding. A padded copy is disposed after the call. */
function withFours<T>(tf: Tensorflow, module: WasmModule, x: Tensor, body: (address: number) => T): T {
  const whole = tf.tidy(() => inFours(tf, x));
  try {
    return body(module.address(whole));
  } finally {
    if (whole !== x) whole.dispose();
  }
}

/** Returns the first `channels` channels of `y`, which is disposed unless it has no others and is returned itself. */
function cut(tf: Tensorflow, y: Tensor, channels: number): Tensor {
  if (channelsOf(y) === channels) return y;
  const result = tf.slice(
    y,
    y.shape.map(() => 0),
    [...y.shape.slice(0, -1), channels],
  );
  y.dispose();
  return result;
}

/** Copies the rows of `values`, of `channels` elements each, to scratch memory, pads each with zeros and returns the address. */
function placeRows(
  module: WasmModule,
  name: 'vectors' | 'gradient',
  values: Float32Array,
  channels: number,
): number {
  const rows = values.length / channels;
  const row = padded(channels);
  const at = module.scratch(name, rows * row * 4);
  const place = module.floats(at, rows * row).fill(0);
  for (let i = 0; i < rows; i++) place.set(values.subarray(i * channels, (i + 1) * channels), i * row);
  return at;
}

/** Returns the sums over all axes but the last, [channels], in float64. */
export function columnSums(tf: Tensorflow, module: WasmModule, x: Tensor): Float64Array {
  const channels = channelsOf(x);
  return withFours(tf, module, x, (from) => {
    const sums = module.scratch('vectors', padded(channels) * 8);
    module.run.columnSums(from, x.size / channels, padded(channels), sums);
    return module.doubles(sums, channels).slice();
  });
}

/**
 * See `Kernels.moments`. The module sums deviations from the mean of the first rows, which avoids cancellation, in float32 within
 * blocks of rows and in float64 across blocks.
 */
export function moments(tf: Tensorflow, module: WasmModule, x: Tensor): BatchMoments {
  const channels = channelsOf(x);
  const width = padded(channels);
  const rows = x.size / channels;
  return withFours(tf, module, x, (from) => {
    const sumsAt = module.scratch('vectors', width * (8 + 8 + 4));
    const centresAt = sumsAt + width * 16;
    module.run.moments(from, rows, width, centresAt, sumsAt, sumsAt + width * 8);
    const [centres, sums] = [module.floats(centresAt, width), module.doubles(sumsAt, 2 * width)];
    const mean = new Float64Array(channels);
    const m2 = new Float64Array(channels);
    for (let c = 0; c < channels; c++) {
      const [sum, squares] = [sums[c] as number, sums[width + c] as number];
      mean[c] = (centres[c] as number) + sum / rows;
      m2[c] = Math.max(0, squares - (sum * sum) / rows);
    }
    return { mean, m2 };
  });
}

/** See `Kernels.batchNorm` for the contract; `activation` must not be `relu6`. */
export function batchNorm(
  tf: Tensorflow,
  module: WasmModule,
  input: Tensor,
  affine: Float32Array,
  { activation, pool }: BatchNormTail,
): BatchNormPass {
  const relu = activation === 'relu';
  const channels = channelsOf(input);
  const width = padded(channels);
  const x = inFours(tf, input);
  const rows = x.size / width;
  const [images = 0, height = 0, columns = 0] = x.shape;
  const [lines, half] = [(images * height) / 2, columns / 2];
  const from = module.address(x);
  const place = (): number => placeRows(module, 'vectors', affine, channels);
  const outputShape = pool ? [images, height / 2, half, width] : x.shape;
  const { tensor: y, to } = module.output(outputShape);
  if (pool) module.run.normalizeAndPool(from, lines, columns, width, place(), relu, to);
  else module.run.normalize(from, rows, width, place(), relu, to);

  return {
    y: cut(tf, y, channels),
    sums: (gradient) =>
      withFours(tf, module, gradient, (dy) => {
        const at = module.scratch('gradient', width * 16);
        const sums = [at, at + width * 8] as const;
        if (pool) {
          module.run.pooledGradientSums(dy, from, rows / 4, half, width, place(), relu, ...sums);
        } else {
          module.run.gradientSums(dy, from, rows, width, place(), relu, ...sums);
        }
        const values = module.doubles(at, 2 * width);
        return { dz: values.slice(0, channels), dzCentred: values.slice(width, width + channels) };
      }),
    inputGradient: (gradient, coefficients) =>
      withFours(tf, module, gradient, (dy) => {
        const factors = placeRows(module, 'gradient', coefficients, channels);
        const { tensor: dx, to: target } = module.output(x.shape);
        if (pool) {
          const ends = [width, place(), factors, relu, target] as const;
          module.run.pooledInputGradient(dy, from, lines, half, ...ends);
        } else module.run.inputGradient(dy, from, rows, width, place(), factors, relu, target);
        return cut(tf, dx, channels);
      }),
  };
}
