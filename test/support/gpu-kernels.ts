/** Makes native TensorFlow on the CPU choose its kernels as it does on a GPU. */

import { TensorflowKernels } from '../../src/worker/kernels/tensorflow.js';
import type { Kernels } from '../../src/worker/kernels/kernels.js';
import type { Engine } from '../../src/worker/engine/engine.js';

/** Returns the kernels for a GPU. Afterwards, `kernelsOf(engine)` and tfjs's own kernels choose like on a GPU as well. */
export function gpuKernels({ tf, memory }: Engine): Kernels {
  const backend = tf.backend() as unknown as { isUsingGpuDevice: boolean };
  backend.isUsingGpuDevice = true;
  return new TensorflowKernels(tf, memory);
}
