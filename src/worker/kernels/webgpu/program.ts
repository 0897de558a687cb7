/** Makes shaders in the form that tfjs's WebGPU backend compiles and runs, with one invocation per index. */

import type { GpuProgram } from '../../engine/webgpu/gpu-types.js';

export interface FlatProgram {
  /** Name of the code; two programs with the same key must have the same code. */
  readonly key: string;
  /** Names of the input arrays in the code. */
  readonly inputs: readonly string[];
  /** Declarations of the uniforms in WGSL, each followed by a comma. */
  readonly uniforms: string;
  /** Number of invocations that compute something; the code must compare its index with it. */
  readonly invocations: number;
  readonly outputShape: readonly number[];
  /** WGSL code with `fn main(index : i32)`, which writes to the array `result`. */
  readonly code: string;
}

/** Number of invocations of a workgroup; the invocations of one have consecutive indices. */
export const workgroupInvocations = 64;

export function flatProgram({
  key,
  inputs,
  uniforms,
  invocations,
  outputShape,
  code,
}: FlatProgram): GpuProgram {
  return {
    outputShape: [...outputShape],
    variableNames: inputs,
    uniforms,
    workgroupSize: [workgroupInvocations, 1, 1],
    // tfjs's backend passes the index of the invocation if the layout has only an x axis.
    dispatchLayout: { x: [0] },
    dispatch: [Math.ceil(invocations / workgroupInvocations), 1, 1],
    shaderKey: key,
    getUserCode: () => code,
  };
}
