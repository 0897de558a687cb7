/**
 * Replaces the kernels of tfjs's WebGPU backend that add with atomic operations, because the order of their sums changes from call to
 * call. The gradient of an Embedding and of `gather` has an own shader. The others are rare; tfjs's JavaScript backend computes them on
 * copies of the inputs. They only add, multiply and compare.
 */

import type { Tensorflow } from '../../../api/tensorflow.js';
import { borrowFromCpu } from '../borrow-from-cpu.js';
import { registerCast } from './cast.js';
import { registerSegmentSum } from './segment-sum.js';

const backendName = 'webgpu';

const atomic = [
  'Bincount',
  'DenseBincount',
  'Dilation2DBackpropFilter',
  'Dilation2DBackpropInput',
  'ScatterNd',
  'SparseSegmentMean',
  'SparseSegmentSum',
  'SparseToDense',
  'TensorScatterUpdate',
] as const;

/** The current backend must be tfjs's WebGPU backend, and `tf` must have the JavaScript backend as well. */
export function registerWebgpuKernels(tf: Tensorflow): void {
  for (const name of atomic) borrowFromCpu(tf, name, backendName);
  registerSegmentSum(tf, backendName);
  registerCast(tf, backendName);
}
