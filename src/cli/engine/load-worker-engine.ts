/** Loads the engine that a run's configuration selects: sets the environment first, because the library reads it on load. */

import type { ResolvedConfig } from '../../shared/config/run-config.js';
import { engineEnvironment, type EngineDevice } from '../../worker/engine/environment.js';
import type { Engine } from '../../worker/engine/engine.js';
import { loadEngine } from '../../worker/engine/load.js';
import { assignEnvironment, currentEngineHost } from '../environment/environment.js';

export async function loadWorkerEngine(
  config: Pick<ResolvedConfig, 'threads' | 'engine'> & Partial<Pick<ResolvedConfig, 'allowSoftwareGpu'>>,
  device: EngineDevice,
  warn: (message: string) => void,
): Promise<Engine> {
  const { threads, engine, allowSoftwareGpu = false } = config;
  const { variables } = currentEngineHost();
  assignEnvironment(engineEnvironment({ threads, device, logLevel: variables?.['TF_CPP_MIN_LOG_LEVEL'] }));
  return loadEngine({ choice: engine, threads, device, host: currentEngineHost(), allowSoftwareGpu, warn });
}
