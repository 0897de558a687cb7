/** Starts tfjs's WebAssembly backend: SIMD on, one thread. */

import { EngineError } from '../../shared/errors.js';
import { registerWasmKernels } from '../kernels/wasm/registered.js';
import { requireWasm, type Tensorflow } from './native.js';

/** Makes it the current backend and registers the kernels that it lacks. @throws EngineError if it cannot run */
export async function startWasm(tf: Tensorflow): Promise<void> {
  requireWasm();
  const simd = await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT');
  if (simd !== true) {
    throw new EngineError(
      'WebAssembly: expected 128-bit SIMD, got a processor or Node without it. Choose the slow engine with `--engine js`.',
    );
  }
  // With threads the backend divides an op by the number of cores, on which the bits would then depend.
  tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
  if (!(await tf.setBackend('wasm'))) {
    throw new EngineError(
      "WebAssembly: expected tfjs's backend to start, got a failure. Choose the slow engine with `--engine js`.",
    );
  }
  await tf.ready();
  registerWasmKernels(tf);
}
