/** Selects the kernels for an engine. */

import type { Precision } from '../../shared/config/run-config.js';
import { ConfigError } from '../../shared/errors.js';
import type { Engine } from '../engine/load.js';
import type { Kernels } from './kernels.js';
import { PortableKernels } from './portable.js';
import { correctResizeGradient } from './resize-gradient.js';
import { TensorflowKernels } from './tensorflow.js';
import { WasmModule } from './wasm/module.js';
import { WasmKernels } from './wasm/wasm.js';

/**
 * Returns the kernels for an engine, which must be the current tfjs backend.
 * @throws ConfigError if the engine does not support the precision
 * @throws EngineError if the WebAssembly module is not built
 */
export function kernelsOf({ kind, tf, memory }: Engine, precision: Precision = 'float32'): Kernels {
  if (kind === 'tensorflow') return new TensorflowKernels(tf, memory, precision);
  if (precision !== 'float32') {
    throw new ConfigError(
      `--precision: the engine "${kind}" computes in float32 only, got "${precision}". Use --engine tensorflow.`,
    );
  }
  if (kind === 'wasm') return new WasmKernels(tf, WasmModule.of(tf));
  correctResizeGradient(tf);
  return new PortableKernels(tf);
}
