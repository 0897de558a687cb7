/** Which kernels compute on an engine. */

import type { Precision } from '../../shared/config/run-config.js';
import { ConfigError } from '../../shared/errors.js';
import type { Engine } from '../engine/load.js';
import type { Kernels } from './kernels.js';
import { PortableKernels } from './portable.js';
import { TensorflowKernels } from './tensorflow.js';
import { WasmModule } from './wasm/module.js';
import { WasmKernels } from './wasm/wasm.js';

/** @throws ConfigError when the engine doesn't have the precision. */
export function kernelsOf({ kind, tf, memory }: Engine, precision: Precision = 'float32'): Kernels {
  if (kind === 'tensorflow') return new TensorflowKernels(tf, memory, precision);
  if (precision !== 'float32') {
    throw new ConfigError(
      `--precision: the engine "${kind}" computes in float32 only, got "${precision}". Use --engine tensorflow.`,
    );
  }
  return kind === 'wasm' ? new WasmKernels(tf, WasmModule.of(tf)) : new PortableKernels(tf);
}
