/** Runs Lockstep's shaders on tfjs's WebGPU backend and makes their results tensors. */

import type { Tensor, TensorInfo } from '@tensorflow/tfjs-core';
import { InvariantError } from '../../../shared/errors.js';
import type { Tensorflow } from '../../../api/tensorflow.js';
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

  /** Runs a shader. The caller disposes the result's data. */
  run(
    program: FlatProgram,
    inputs: readonly TensorInfo[],
    uniforms: readonly GpuUniform[],
    dtype: 'float32' | 'int32' = 'float32',
  ): TensorInfo {
    return this.backend.runWebGPUProgram(flatProgram(program), [...inputs], dtype, [...uniforms]);
  }

  /** Runs a shader that changes `target`, which is the array `result` of its code. */
  runInto(
    target: TensorInfo,
    program: FlatProgram,
    inputs: readonly TensorInfo[],
    uniforms: readonly GpuUniform[],
  ): void {
    this.backend.runWebGPUProgram(flatProgram(program), [...inputs], target.dtype, [...uniforms], target);
  }

  /** Copies elements of a float32 tensor that is on the GPU. The caller disposes the result's data. */
  part(source: TensorInfo, offset: number, size: number): TensorInfo {
    const info = this.backend.makeTensorInfo([size], 'float32');
    if (size === 0) return info;
    this.backend.uploadToGPU(info.dataId);
    this.copy(source, offset, info, 0, size);
    return info;
  }

  /** Copies `size` elements of 4 bytes between two tensors that are on the GPU. */
  copy(source: TensorInfo, sourceOffset: number, target: TensorInfo, offset: number, size: number): void {
    const { backend } = this;
    const [from, to] = [source, target].map(({ dataId }) => backend.tensorMap.get(dataId).resource);
    if (!from || !to) throw new InvariantError('a copy of a tensor that is not on the GPU');
    backend.ensureCommandEncoderReady();
    backend.endComputePassEncoder();
    const bytes = Float32Array.BYTES_PER_ELEMENT;
    backend.commandEncoder?.copyBufferToBuffer(from, sourceOffset * bytes, to, offset * bytes, size * bytes);
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
