/** Selects the kernels for an engine. */

import type { Precision } from '../../shared/config/run-config.js';
import { ConfigError } from '../../shared/errors.js';
import type { Engine } from '../engine/engine.js';
import { engines } from '../engine/engines.js';
import type { Kernels } from './kernels.js';
import { replaceTileGradient } from './tile-gradient.js';

/**
 * Returns the kernels for an engine, which must be the current tfjs backend.
 * @throws ConfigError if the engine does not support the precision
 * @throws EngineError if the WebAssembly module is not built
 */
export function kernelsOf(engine: Engine, precision: Precision = 'float32'): Kernels {
  const { precisions, kernels } = engines[engine.kind];
  if (precisions.includes(precision)) {
    replaceTileGradient(engine.tf);
    return kernels(engine, precision);
  }
  throw new ConfigError(
    `--precision: the engine "${engine.kind}" computes in ${precisions.join(' or ')} only, got "${precision}". ` +
      'Use --engine tensorflow.',
  );
}
