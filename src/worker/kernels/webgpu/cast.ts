/**
 * Cast from whole numbers or booleans to float32 with a copy. tfjs's kernel returns the old values under the new type, which some of
 * its shaders (Transpose) and all of Lockstep's read as float32.
 */

import type { TensorInfo } from '@tensorflow/tfjs-core';
import { elementCount } from '../../../shared/model/layout.js';
import type { Tensorflow } from '../../../api/tensorflow.js';
import { replaceKernel } from '../tfjs-kernels.js';
import { int, Shaders } from './shaders.js';

const kernelName = 'Cast';

/** Replaces the kernel of the current backend. */
export function registerCast(tf: Tensorflow, backendName: string): void {
  const { kernelFunc: original } = tf.getKernel(kernelName, backendName);
  const shaders = new Shaders(tf);
  replaceKernel(tf, {
    kernelName,
    backendName,
    kernelFunc: (call) => {
      const { x } = call.inputs as { x: TensorInfo };
      const { dtype } = call.attrs as unknown as { dtype: string };
      const isWhole = x.dtype === 'int32' || x.dtype === 'bool';
      const size = elementCount(x.shape);
      if (dtype !== 'float32' || !isWhole || size === 0) return original(call);
      const program = {
        key: 'lockstepToFloat',
        inputs: ['x'],
        uniforms: 'count : i32,',
        invocations: size,
        outputShape: x.shape,
        code: 'fn main(index : i32) { if (index < uniforms.count) { result[index] = f32(x[index]); } }',
      };
      return shaders.run(program, [x], int(size));
    },
  });
}
