/**
 * The gradient of tfjs's `resizeNearestNeighbor` in plain JavaScript. tfjs 4.22's own kernel reads the gradients of other samples: it
 * computes their offset from the size of the input in place of that of the output.
 */

import type { TensorInfo, TypedArray } from '@tensorflow/tfjs-core';
import type { Tensorflow } from '../../api/tensorflow.js';
import { replaceKernel } from './tfjs-kernels.js';

const kernelName = 'ResizeNearestNeighborGrad';
const corrected = new WeakSet<Tensorflow>();

interface Store {
  readSync(dataId: object): TypedArray;
  makeTensorInfo(shape: number[], dtype: string, values: Float32Array): TensorInfo;
}

/** Replaces the kernel of tfjs's JavaScript backend, once per `tf`. */
export function correctResizeGradient(tf: Tensorflow): void {
  if (corrected.has(tf)) return;
  corrected.add(tf);
  replaceKernel(tf, {
    kernelName,
    backendName: 'cpu',
    kernelFunc: ({ inputs, backend }) => {
      const { images, dy } = inputs as Record<string, TensorInfo>;
      const store = backend as unknown as Store;
      const [batch = 0, height = 0, width = 0, depth = 0] = images?.shape ?? [];
      const [, tall = 0, wide = 0] = dy?.shape ?? [];
      const values = store.readSync(dy?.dataId ?? {});
      const sums = new Float32Array(batch * height * width * depth);
      for (let b = 0; b < batch; b++)
        for (let y = 0; y < tall; y++)
          for (let x = 0; x < wide; x++) {
            const from =
              (b * height + Math.floor((y * height) / tall)) * width + Math.floor((x * width) / wide);
            const to = (b * tall + y) * wide + x;
            for (let d = 0; d < depth; d++)
              sums[from * depth + d] = (sums[from * depth + d] ?? 0) + (values[to * depth + d] ?? 0);
          }
      return store.makeTensorInfo([batch, height, width, depth], 'float32', sums);
    },
  });
}
