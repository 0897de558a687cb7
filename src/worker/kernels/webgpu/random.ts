/** Philox4x32-10 on the GPU (see shared/random/philox.ts): uniform numbers and the masks of Dropout. */

import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import { blocksOf } from '../composed-dropout.js';
import type { PhiloxCounter, PhiloxKey } from '../kernels.js';
import { float, int, word, type Shaders } from './shaders.js';

const philoxCode = `
  fn high(a : u32, b : u32) -> u32 {
    let middle = (a >> 16u) * (b & 0xffffu) + (((a & 0xffffu) * (b & 0xffffu)) >> 16u);
    let low = (a & 0xffffu) * (b >> 16u) + (middle & 0xffffu);
    return (a >> 16u) * (b >> 16u) + (middle >> 16u) + (low >> 16u);
  }
  fn philox(counter : vec4<u32>, first : vec2<u32>) -> vec4<u32> {
    var c = counter;
    var key = first;
    for (var round = 0; round < 10; round = round + 1) {
      c = vec4<u32>(
        high(0xcd9e8d57u, c.z) ^ c.y ^ key.x,
        0xcd9e8d57u * c.z,
        high(0xd2511f53u, c.x) ^ c.w ^ key.y,
        0xd2511f53u * c.x);
      key = key + vec2<u32>(0x9e3779b9u, 0xbb67ae85u);
    }
    return c;
  }
  fn uniformNumbers(block : i32) -> vec4<f32> {
    let counter = vec4<u32>(uniforms.c0 + u32(block), 0u, uniforms.c2, uniforms.c3);
    let words = philox(counter, vec2<u32>(uniforms.key0, uniforms.key1));
    return bitcast<vec4<f32>>((words & vec4<u32>(0x7fffffu)) | vec4<u32>(0x3f800000u)) - vec4<f32>(1.0);
  }
`;

const philoxUniforms = 'key0 : u32, key1 : u32, c0 : u32, c2 : u32, c3 : u32,';

/** See `Kernels.philoxUniform`. */
export function philoxUniform(
  shaders: Shaders,
  rows: number,
  columns: number,
  key: PhiloxKey,
  counter: PhiloxCounter,
): Tensor2D {
  const blocks = (rows * columns) / 4;
  const program = {
    key: 'lockstepUniform',
    inputs: [],
    uniforms: `${philoxUniforms} blocks : i32,`,
    invocations: blocks,
    outputShape: [rows, columns],
    code: `${philoxCode}
      fn main(index : i32) {
        if (index < uniforms.blocks) {
          let numbers = uniformNumbers(index);
          for (var i = 0; i < 4; i = i + 1) { result[4 * index + i] = numbers[i]; }
        }
      }`,
  };
  return shaders.tensor(shaders.run(program, [], [...word(...key, ...counter), ...int(blocks)]));
}

/** See `Kernels.dropout`. */
export function dropout(
  shaders: Shaders,
  x: Tensor,
  rate: number,
  key: PhiloxKey,
  counter: PhiloxCounter,
): Tensor {
  const [rows = 0] = x.shape;
  const columns = x.size / rows;
  const perRow = blocksOf(columns);
  const program = {
    key: 'lockstepDropout',
    inputs: ['x'],
    uniforms: `${philoxUniforms} rate : f32, scale : f32, blocks : i32, perRow : i32, columns : i32,`,
    invocations: rows * perRow,
    outputShape: x.shape,
    code: `${philoxCode}
      fn main(index : i32) {
        if (index < uniforms.blocks) {
          let row = index / uniforms.perRow;
          let first = (index - row * uniforms.perRow) * 4;
          let numbers = uniformNumbers(index);
          for (var i = 0; i < 4; i = i + 1) {
            if (first + i < uniforms.columns) {
              let at = row * uniforms.columns + first + i;
              result[at] = select(0.0, x[at] * uniforms.scale, numbers[i] >= uniforms.rate);
            }
          }
        }
      }`,
  };
  const uniforms = [
    ...word(...key, ...counter),
    ...float(rate, 1 / (1 - rate)),
    ...int(rows * perRow, perRow, columns),
  ];
  return shaders.tensor(shaders.run(program, [x], uniforms));
}
