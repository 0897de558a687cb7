/** Runs Lockstep's shaders on tfjs's WebGPU backend and makes their results tensors. */

import type { Tensor, TensorInfo } from '@tensorflow/tfjs';
import type { Tensorflow } from '../../engine/native.js';
import type { GpuBackend, GpuUniform } from '../../engine/webgpu/gpu-types.js';
import { tensorOf } from '../tfjs-kernels.js';
import { flatProgram, type FlatProgram } from './program.js';

export class Shaders {
  readonly tf: Tensorflow;
  readonly backend: GpuBackend;

  /** The current backend of `tf` must be its WebGPU backend. */
  constructor(tf: Tensorflow) {
    this.tf = tf;
    this.backend = tf.backend() as unknown as GpuBackend;
  }

  /** Runs a shader whose result has dtype float32. The caller disposes the result's data. */
  run(program: FlatProgram, inputs: readonly TensorInfo[], uniforms: readonly GpuUniform[]): TensorInfo {
    return this.backend.runWebGPUProgram(flatProgram(program), [...inputs], 'float32', [...uniforms]);
  }

  /** Makes `info` a tensor in the current tfjs scope. */
  tensor<T extends Tensor>(info: TensorInfo): T {
    return tensorOf(this.tf, info);
  }
}

export const int = (...values: readonly number[]): GpuUniform[] =>
  values.map((value) => ({ type: 'int32', data: [value] }));
export const word = (...values: readonly number[]): GpuUniform[] =>
  values.map((value) => ({ type: 'uint32', data: [value >>> 0] }));
export const float = (...values: readonly number[]): GpuUniform[] =>
  values.map((value) => ({ type: 'float32', data: [value] }));
