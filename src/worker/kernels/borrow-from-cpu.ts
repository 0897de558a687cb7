/**
 * Kernels of tfjs's JavaScript backend that run for another backend, on copies of the inputs. This is slow, so it is for kernels that
 * the other backend lacks or computes incorrectly and that are rare.
 */

import type { TensorInfo, TypedArray } from '@tensorflow/tfjs-core';
import type { Tensorflow } from '../../api/tensorflow.js';
import { replaceKernel } from './tfjs-kernels.js';

interface DataStore {
  readSync(dataId: object): TypedArray;
  write(values: TypedArray, shape: number[], dtype: TensorInfo['dtype']): object;
  disposeData(dataId: object): boolean;
}

/**
 * Registers a kernel of the JavaScript backend, which `tf` must have as well, with the backend `backendName` in place of its own. The
 * kernel must have one output.
 */
export function borrowFromCpu(tf: Tensorflow, name: string, backendName: string): void {
  const kernel = tf.getKernel(name, 'cpu');
  replaceKernel(tf, {
    kernelName: name,
    backendName,
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
      const output = made as TensorInfo;
      const result = move(there, here, output);
      for (const { dataId } of [output, ...copies.map(([, copy]) => copy)]) there.disposeData(dataId);
      return result;
    },
  });
}
