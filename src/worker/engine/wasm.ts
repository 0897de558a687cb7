/** The engine `wasm`: tfjs's WebAssembly backend with SIMD and one thread, and Lockstep's kernels in its memory. */

import { EngineError } from '../../shared/errors.js';
import { loadNativeMemory } from '../../shared/memory/native-memory.js';
import { WasmModule } from '../kernels/wasm/module.js';
import { registerWasmKernels } from '../kernels/wasm/registered.js';
import { WasmKernels } from '../kernels/wasm/wasm.js';
import { findEngine, findMemoryAddon } from './cache.js';
import { describeEngine, oneThread, withoutBanner } from './describe-engine.js';
import type { Engine, EngineDefinition, LoadEngineOptions } from './engine.js';
import { wasmFiles } from './engine-files.js';
import { requireTfjs } from './tfjs.js';
import type { Tensorflow } from '../../api/tensorflow.js';
import { requireWasm } from './native.js';
import { anyProcessor } from './processor.js';
import { engineFault } from './trust.js';

export const wasm: EngineDefinition = {
  precisions: ['float32'],
  load: loadWasm,
  kernels: ({ tf }) => new WasmKernels(tf, WasmModule.of(tf)),
  // WebAssembly is specified to the bit.
  processor: () => anyProcessor,
};

/** Loads the addon for shared memory as well, if it is installed; no bit depends on it. */
async function loadWasm({ host, warn }: LoadEngineOptions): Promise<Engine> {
  const cached = findEngine(host);
  const fault = cached?.from === 'cache' ? engineFault(cached.directory) : undefined;
  if (fault !== undefined)
    warn(`Workers of this host do not share memory: the addon is not loaded, since ${fault}.`);
  const tf = requireTfjs();
  // Some kernels run in tfjs's JavaScript backend, which greets as well.
  await tf.setBackend('cpu');
  withoutBanner(tf);
  await startWasm(tf);
  withoutBanner(tf);
  const version = tf.version['tfjs-core'];
  return describeEngine(tf, `WebAssembly (tfjs ${version})`, {
    kind: 'wasm',
    version,
    device: oneThread(),
    files: wasmFiles(),
    memory: loadNativeMemory(findMemoryAddon(host)),
  });
}

/** Makes it the current backend and registers the kernels that it lacks. @throws EngineError if it cannot run */
async function startWasm(tf: Tensorflow): Promise<void> {
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
