/**
 * BatchNorm and its tail in one shader per pass. The sums per channel are computed in float32 over blocks of rows, whose size depends
 * on the shape alone, and merged on the host in float64 in the order of the blocks. They are read when they are first used, together
 * with those of the other shards.
 */

import type { Tensor, TensorInfo } from '@tensorflow/tfjs-core';
import { elementCount } from '../../../shared/model/layout.js';
import type { ReadBatch } from '../../engine/webgpu/read-batch.js';
import type { BatchMoments, BatchNormPass, BatchNormTail } from '../kernels.js';
import type { FlatProgram } from './program.js';
import { int, type Shaders } from './shaders.js';

/** A block has at least this many rows, and there are at most this many blocks. */
const blockRows = 64;
const maxBlocks = 64;

interface Blocks {
  readonly count: number;
  readonly rows: number;
}

function blocksOf(rows: number): Blocks {
  const size = Math.max(blockRows, Math.ceil(rows / maxBlocks));
  return { rows: size, count: Math.ceil(rows / size) };
}

/** Writes the mean and the sum of squared deviations of each block and channel: [block][mean or m2][channel]. */
const momentsCode = `
  fn main(index : i32) {
    if (index < uniforms.blocks * uniforms.channels) {
      let block = index / uniforms.channels;
      let channel = index - block * uniforms.channels;
      let start = block * uniforms.blockRows;
      let end = min(start + uniforms.blockRows, uniforms.rows);
      var sum = 0.0;
      for (var row = start; row < end; row = row + 1) { sum = sum + x[row * uniforms.channels + channel]; }
      let mean = sum / f32(end - start);
      var squares = 0.0;
      for (var row = start; row < end; row = row + 1) {
        let deviation = x[row * uniforms.channels + channel] - mean;
        squares = squares + deviation * deviation;
      }
      result[block * 2 * uniforms.channels + channel] = mean;
      result[(block * 2 + 1) * uniforms.channels + channel] = squares;
    }
  }
`;

/** See `Kernels.moments`. */
export function moments(shaders: Shaders, batch: ReadBatch, x: Tensor): BatchMoments {
  const channels = x.shape.at(-1) ?? 1;
  const rows = x.size / channels;
  const blocks = blocksOf(rows);
  const program = {
    key: 'lockstepMoments',
    inputs: ['x'],
    uniforms: 'rows : i32, channels : i32, blocks : i32, blockRows : i32,',
    invocations: blocks.count * channels,
    outputShape: [blocks.count * 2 * channels],
    code: momentsCode,
  };
  const info = shaders.run(program, [x], int(rows, channels, blocks.count, blocks.rows));
  const merged = once(readLater(shaders, batch, info), (values) => {
    const mean = new Float64Array(channels);
    const m2 = new Float64Array(channels);
    for (let block = 0, before = 0; block < blocks.count; block++) {
      const count = Math.min(blocks.rows, rows - before);
      for (let c = 0; c < channels; c++) {
        const at = block * 2 * channels + c;
        const delta = (values[at] ?? 0) - (mean[c] ?? 0);
        mean[c] = (mean[c] ?? 0) + (delta * count) / (before + count);
        m2[c] =
          (m2[c] ?? 0) + (values[at + channels] ?? 0) + (delta * delta * before * count) / (before + count);
      }
      before += count;
    }
    return { mean, m2 };
  });
  return {
    get mean() {
      return merged().mean;
    },
    get m2() {
      return merged().m2;
    },
  };
}

/** Queues the copy of a shader's result, which is disposed, and returns a function that returns the values. */
function readLater(shaders: Shaders, batch: ReadBatch, info: TensorInfo): () => Float32Array {
  const values = batch.add(info.dataId);
  shaders.backend.disposeData(info.dataId);
  return () => values() as Float32Array;
}

function once<T>(values: () => Float32Array, compute: (values: Float32Array) => T): () => T {
  let held: { readonly result: T } | undefined;
  return () => (held ??= { result: compute(values()) }).result;
}

/**
 * Code for one position: a row, or with a pool a window of 2x2 rows. `at` is the index of its element in `x`; with a pool, the index
 * of the first maximum. `passes` is false if the activation stops the gradient.
 */
function positionCode({ activation, pool }: BatchNormTail): string {
  const locate = pool
    ? `
      let width = uniforms.width / 2;
      let line = position / width;
      let corner = (line * 2 * uniforms.width + (position - line * width) * 2) * uniforms.channels + channel;
      var at = corner;
      var z = affine(corner, channel);
      for (var i = 1; i < 4; i = i + 1) {
        let other = corner + ((i / 2) * uniforms.width + (i % 2)) * uniforms.channels;
        let value = affine(other, channel);
        if (value > z) { z = value; at = other; }
      }`
    : `
      let at = position * uniforms.channels + channel;
      let z = affine(at, channel);`;
  return `${locate}
      let passes = ${{ linear: 'true', relu: 'z > 0.0', relu6: 'z > 0.0 && z < 6.0' }[activation]};`;
}

const affineCode = `
  fn affine(at : i32, channel : i32) -> f32 {
    return (x[at] - rows[channel]) * rows[uniforms.channels + channel] + rows[2 * uniforms.channels + channel];
  }
`;

const perPosition = (body: string, tail: BatchNormTail): string => `
  ${affineCode}
  fn main(index : i32) {
    if (index < uniforms.positions * uniforms.channels) {
      let position = index / uniforms.channels;
      let channel = index - position * uniforms.channels;
      ${positionCode(tail)}
      ${body}
    }
  }
`;

function forwardCode(tail: BatchNormTail): string {
  const value = { linear: 'z', relu: 'select(0.0, z, passes)', relu6: 'clamp(z, 0.0, 6.0)' }[tail.activation];
  return perPosition(`result[index] = ${value};`, tail);
}

function gradientCode(tail: BatchNormTail): string {
  const centred = (at: string): string =>
    `factors[uniforms.channels + channel] * (x[${at}] - rows[channel]) + factors[2 * uniforms.channels + channel]`;
  const write = tail.pool
    ? `for (var i = 0; i < 4; i = i + 1) {
        let one = corner + ((i / 2) * uniforms.width + (i % 2)) * uniforms.channels;
        result[one] = select(0.0, dz, one == at) * factors[channel] + (${centred('one')});
      }`
    : `result[at] = dz * factors[channel] + (${centred('at')});`;
  return perPosition(`let dz = select(0.0, dy[index], passes);\n${write}`, tail);
}

/** Writes the sums of dz and of dz * (x - mean) of each block and channel: [block][sum][channel]. */
function sumsCode(tail: BatchNormTail): string {
  return `
  ${affineCode}
  fn main(index : i32) {
    if (index < uniforms.blocks * uniforms.channels) {
      let block = index / uniforms.channels;
      let channel = index - block * uniforms.channels;
      let start = block * uniforms.blockRows;
      let end = min(start + uniforms.blockRows, uniforms.positions);
      var sum = 0.0;
      var centred = 0.0;
      for (var position = start; position < end; position = position + 1) {
        ${positionCode(tail)}
        let dz = select(0.0, dy[position * uniforms.channels + channel], passes);
        sum = sum + dz;
        centred = centred + dz * (x[at] - rows[channel]);
      }
      result[block * 2 * uniforms.channels + channel] = sum;
      result[(block * 2 + 1) * uniforms.channels + channel] = centred;
    }
  }
`;
}

/** See `Kernels.batchNorm` for the contract. */
export function batchNorm(
  shaders: Shaders,
  batch: ReadBatch,
  x: Tensor,
  affine: Float32Array,
  tail: BatchNormTail,
): BatchNormPass {
  const channels = x.shape.at(-1) ?? 1;
  const [images = 0, height = 0, width = 1] = x.shape;
  const yShape = tail.pool ? [images, height / 2, width / 2, channels] : x.shape;
  const positions = elementCount(yShape) / channels;
  const rows = shaders.tf.tensor1d(affine);
  const variant = `${{ linear: '', relu: 'Relu', relu6: 'Relu6' }[tail.activation]}${tail.pool ? 'Pool' : ''}`;
  const common = 'positions : i32, channels : i32, width : i32,';
  const shape = [positions, channels, width];
  const program = (
    name: string,
    inputs: string[],
    outputShape: readonly number[],
    code: string,
  ): FlatProgram => ({
    key: `lockstepBatchNorm${name}${variant}`,
    inputs,
    uniforms: common,
    invocations: positions * channels,
    outputShape,
    code,
  });
  const forward = program('Forward', ['x', 'rows'], yShape, forwardCode(tail));
  return {
    y: shaders.tensor(shaders.run(forward, [x, rows], int(...shape))),
    sums: (dy) => {
      const blocks = blocksOf(positions);
      const sums = {
        ...program('Sums', ['x', 'rows', 'dy'], [blocks.count * 2 * channels], sumsCode(tail)),
        uniforms: `${common} blocks : i32, blockRows : i32,`,
        invocations: blocks.count * channels,
      };
      const info = shaders.run(sums, [x, rows, dy], int(...shape, blocks.count, blocks.rows));
      const added = once(readLater(shaders, batch, info), (values) => addBlocks(values, channels));
      return {
        get dz() {
          return added().subarray(0, channels);
        },
        get dzCentred() {
          return added().subarray(channels);
        },
      };
    },
    inputGradient: (dy, coefficients) => {
      const gradient = program('Gradient', ['x', 'rows', 'dy', 'factors'], x.shape, gradientCode(tail));
      return shaders.tf.tidy(() => {
        const factors = shaders.tf.tensor1d(coefficients);
        return shaders.tensor(shaders.run(gradient, [x, rows, dy, factors], int(...shape)));
      });
    },
  };
}

/** Adds the two sums of all blocks, in the order of the blocks. */
function addBlocks(values: Float32Array, channels: number): Float64Array {
  const sums = new Float64Array(2 * channels);
  for (let at = 0; at < values.length; at++)
    sums[at % sums.length] = (sums[at % sums.length] ?? 0) + (values[at] ?? 0);
  return sums;
}
