/**
 * Kernels that tfjs's WebAssembly backend lacks or computes incorrectly, and that are rare enough to run in JavaScript. tfjs's
 * JavaScript backend runs them on copies of the inputs. They only add, multiply and compare, so that the results are bit-for-bit
 * identical in every JavaScript engine.
 */

import type { TensorInfo, TypedArray } from '@tensorflow/tfjs';
import type { Tensorflow } from '../../engine/native.js';

const borrowed = [
  'DepthwiseConv2dNativeBackpropFilter',
  'DepthwiseConv2dNativeBackpropInput',
  'Einsum',
  'UnsortedSegmentSum',
] as const;

/**
 * Kernels that the backend has, with faults: those of max-pooling ignore a maximum that is not positive, and the gradient of a
 * three-dimensional convolution by its input is summed in memory that is not cleared.
 */
const replaced = ['Conv3DBackpropInputV2', 'MaxPool3D', 'MaxPool3DGrad'] as const;

interface DataStore {
  readSync(dataId: object): TypedArray;
  write(values: TypedArray, shape: number[], dtype: TensorInfo['dtype']): object;
  disposeData(dataId: object): boolean;
}

/** Returns true if the backend has the kernel; tfjs's types declare that it always does. */
export const registered = (tf: Tensorflow, name: string): boolean =>
  (tf.getKernel(name, 'wasm') as unknown) !== undefined;

/** Registers all of these kernels with the WebAssembly backend; `tf` must have the JavaScript backend as well. */
export function borrowFromCpu(tf: Tensorflow): void {
  for (const name of replaced) if (registered(tf, name)) tf.unregisterKernel(name, 'wasm');
  for (const name of [...borrowed, ...replaced]) {
    if (registered(tf, name)) continue;
    const kernel = tf.getKernel(name, 'cpu');
    tf.registerKernel({
      kernelName: name,
      backendName: 'wasm',
      kernelFunc: ({ inputs, attrs, backend }) => {
        const here = backend as unknown as DataStore;
        const there = tf.findBackend('cpu') as unknown as DataStore;
        const move = (from: DataStore, to: DataStore, { dataId, shape, dtype }: TensorInfo): TensorInfo => ({
          dataId: to.write(from.readSync(dataId), shape, dtype),
          shape,
          dtype,
        });
        const copies = Object.entries(inputs).map(
          ([key, input]) => [key, move(here, there, input as TensorInfo)] as const,
        );
        const made = kernel.kernelFunc({
          inputs: Object.fromEntries(copies),
          backend: there,
          ...(attrs && { attrs }),
        });
        // None of these kernels has several outputs.
        const output = made as TensorInfo;
        const result = move(there, here, output);
        for (const { dataId } of [output, ...copies.map(([, copy]) => copy)]) there.disposeData(dataId);
        return result;
      },
    });
  }
}
