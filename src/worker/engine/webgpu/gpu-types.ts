/** The parts of the WebGPU interface and of tfjs's WebGPU backend that Lockstep uses. */

import type { KernelBackend, TensorInfo, TypedArray } from '@tensorflow/tfjs-core';

export interface GpuBuffer {
  readonly size: number;
  readonly mapState: 'unmapped' | 'pending' | 'mapped';
  mapAsync(mode: number): Promise<void>;
  getMappedRange(): ArrayBuffer;
  unmap(): void;
  destroy(): void;
}

export interface GpuCommandEncoder {
  copyBufferToBuffer(
    source: GpuBuffer,
    sourceOffset: number,
    target: GpuBuffer,
    offset: number,
    size: number,
  ): void;
}

export interface GpuDevice {
  readonly limits: Readonly<Record<string, number>>;
  readonly lost: Promise<{ readonly reason: string; readonly message: string }>;
  onuncapturederror: ((event: { readonly error?: { readonly message?: string } }) => void) | null;
  createBuffer(descriptor: { size: number; usage: number }): GpuBuffer;
  destroy(): void;
}

export interface GpuAdapterInfo {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
  readonly isFallbackAdapter?: boolean | undefined;
}

export interface GpuAdapter {
  readonly info: GpuAdapterInfo;
  readonly limits: Readonly<Record<string, number>>;
  requestDevice(descriptor: { requiredLimits: Record<string, number> }): Promise<GpuDevice>;
}

export interface Gpu {
  requestAdapter(options: { powerPreference: 'high-performance' }): Promise<GpuAdapter | null>;
}

/** The module `webgpu`. */
export interface Dawn {
  create(options: readonly string[]): Gpu;
  readonly globals: Record<string, unknown>;
}

/** A compute shader in the form that tfjs's backend compiles; the same key stands for the same code. */
export interface GpuProgram {
  outputShape: number[];
  readonly variableNames: readonly string[];
  readonly uniforms: string;
  readonly workgroupSize: [number, number, number];
  readonly dispatchLayout: { readonly x: number[] };
  dispatch: [number, number, number];
  shaderKey: string;
  readonly size?: boolean;
  /** True if the shader adds to its result with atomic operations. */
  readonly atomic?: boolean;
  getUserCode(): string;
}

export interface GpuUniform {
  readonly type: 'int32' | 'uint32' | 'float32';
  readonly data: number[];
}

/** tfjs's WebGPUBackend. */
export interface GpuBackend extends KernelBackend {
  readonly device: GpuDevice;
  readonly tensorMap: {
    get(dataId: object): {
      values: TypedArray | null | undefined;
      readonly dtype: TensorInfo['dtype'];
      readonly resource: GpuBuffer | null | undefined;
    };
  };
  readonly bufferManager: {
    acquireBuffer(size: number, usage: number): GpuBuffer;
    releaseBuffer(buffer: GpuBuffer): void;
    getNumUsedBuffers(): number;
    /** Number of buffers that are kept for later tensors of the same size. */
    getNumFreeBuffers(): number;
  };
  commandEncoder: GpuCommandEncoder | null;
  /** Compiled shaders by key. */
  readonly pipelineCache: Readonly<Record<string, unknown>>;
  makeTensorInfo(shape: number[], dtype: TensorInfo['dtype'], values?: TypedArray): TensorInfo;
  runWebGPUProgram(
    program: GpuProgram,
    inputs: TensorInfo[],
    dtype: TensorInfo['dtype'],
    uniforms?: GpuUniform[],
    output?: TensorInfo,
  ): TensorInfo;
  readSync(dataId: object): TypedArray;
  /** Added by Lockstep: functions that return the values of tensors which are read together with others, by `dataId`. */
  prefetched: WeakMap<object, () => TypedArray>;
  /** Added by Lockstep. @throws EngineError with the first error that the device has reported; see `OpenDevice` */
  check(): void;
  ensureCommandEncoderReady(): void;
  endComputePassEncoder(): void;
  submitQueue(): void;
  uploadToGPU(dataId: object): void;
}
