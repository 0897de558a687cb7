/**
 * Kernels that tfjs's WebAssembly backend lacks or computes incorrectly, and that are rare enough to run in JavaScript. They only add,
 * multiply and compare, so that the results are bit-for-bit identical in every JavaScript engine.
 */

import type { Tensorflow } from '../../../api/tensorflow.js';
import { borrowFromCpu } from '../borrow-from-cpu.js';
import { isRegistered } from '../tfjs-kernels.js';

const lacking = [
  'DepthwiseConv2dNativeBackpropFilter',
  'DepthwiseConv2dNativeBackpropInput',
  'Einsum',
] as const;

/**
 * Kernels that the backend has, with faults: those of max-pooling ignore a maximum that is not positive, and the gradient of a
 * three-dimensional convolution by its input is summed in memory that is not cleared.
 */
const faulty = ['Conv3DBackpropInputV2', 'MaxPool3D', 'MaxPool3DGrad'] as const;

/** Registers all of these kernels with the WebAssembly backend; `tf` must have the JavaScript backend as well. */
export function borrowForWasm(tf: Tensorflow): void {
  for (const name of lacking) if (!isRegistered(tf, name, 'wasm')) borrowFromCpu(tf, name, 'wasm');
  for (const name of faulty) borrowFromCpu(tf, name, 'wasm');
}
