/**
 * Kernels that tfjs's WebAssembly backend lacks or has wrong, and that are rare enough for JavaScript: run by tfjs's JavaScript backend on
 * copies of the inputs. All of them add, multiply and compare only, so they have the same bits in every JavaScript engine.
 */

import type { TensorInfo, TypedArray } from '@tensorflow/tfjs';
import type { Tensorflow } from '../../engine/native.js';

const borrowed = [
  'DepthwiseConv2dNativeBackpropFilter',
  'DepthwiseConv2dNativeBackpropInput',
  'Einsum',
  'UnsortedSegmentSum',
] as const;

/** The backend has these, but takes no maximum that is not positive for one. */
const replaced = ['MaxPool3D', 'MaxPool3DGrad'] as const;

interface DataStore {
  readSync(dataId: object): TypedArray;
  write(values: TypedArray, shape: number[], dtype: TensorInfo['dtype']): object;
  disposeData(dataId: object): boolean;
}

/** tfjs's types say that every kernel is there. */
export const registered = (tf: Tensorflow, name: string): boolean =>
  (tf.getKernel(name, 'wasm') as unknown) !== undefined;

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
        // None of them has several outputs.
        const output = made as TensorInfo;
        const result = move(there, here, output);
        for (const { dataId } of [output, ...copies.map(([, copy]) => copy)]) there.disposeData(dataId);
        return result;
      },
    });
  }
}
