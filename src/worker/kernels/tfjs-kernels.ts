/** tfjs's table of kernels by name and backend, and tensors made from the results of kernels. */

import type { KernelConfig, Tensor, TensorInfo } from '@tensorflow/tfjs-core';
import type { Tensorflow } from '../../api/tensorflow.js';

interface TensorMaker {
  makeTensorFromTensorInfo(info: TensorInfo): Tensor;
}

/** Returns true if the backend has the kernel; tfjs's types declare that it always does. */
export const isRegistered = (tf: Tensorflow, name: string, backendName: string): boolean =>
  (tf.getKernel(name, backendName) as unknown) !== undefined;

/** Registers a kernel in place of the backend's own one, if it has one. */
export function replaceKernel(tf: Tensorflow, kernel: KernelConfig): void {
  const { kernelName, backendName } = kernel;
  if (isRegistered(tf, kernelName, backendName)) tf.unregisterKernel(kernelName, backendName);
  tf.registerKernel(kernel);
}

/** Makes `info` a tensor in the current tfjs scope. */
export function tensorOf<T extends Tensor>(tf: Tensorflow, info: TensorInfo): T {
  const maker = tf.engine() as unknown as TensorMaker;
  return maker.makeTensorFromTensorInfo(info) as T;
}
