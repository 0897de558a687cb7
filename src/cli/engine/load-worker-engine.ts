/** Loads the engine that a run's configuration selects: sets the environment first, because the library reads it on load. */

import type { ResolvedConfig } from '../../shared/config/run-config.js';
import { engineEnvironment, type EngineDevice } from '../../worker/engine/environment.js';
import type { Engine } from '../../worker/engine/engine.js';
import { loadEngine, waitingText } from '../../worker/engine/load.js';
import { adaptersVariable, selectionFor } from '../../worker/engine/webgpu/adapters.js';
import { assignEnvironment, currentEngineHost, environmentVariable } from '../environment/environment.js';

interface WorkerEngineOptions {
  /** Number of the worker on its host, counted from 0; default 0. */
  readonly number?: number;
  /** See `LoadEngineOptions`. */
  readonly onWait?: (lock: string | null) => void;
  /** True to print one line as well: the coordinator's warning appears elsewhere. */
  readonly printsWait?: boolean;
}

/** @throws EngineError as `loadEngine` does */
export async function loadWorkerEngine(
  config: Pick<ResolvedConfig, 'threads' | 'engine'> & Partial<Pick<ResolvedConfig, 'allowSoftwareGpu'>>,
  device: EngineDevice,
  warn: (message: string) => void,
  { number = 0, onWait, printsWait = false }: WorkerEngineOptions = {},
): Promise<Engine> {
  const { threads, engine, allowSoftwareGpu = false } = config;
  const host = currentEngineHost();
  let isPrinted = !printsWait;
  const waits = (lock: string | null): void => {
    if (!isPrinted && lock !== null) warn(waitingText(lock));
    isPrinted = true;
    onWait?.(lock);
  };
  const { variables = {} } = host;
  assignEnvironment(engineEnvironment({ threads, device, logLevel: variables['TF_CPP_MIN_LOG_LEVEL'] }));
  const options = {
    choice: engine,
    threads,
    device,
    host,
    allowSoftwareGpu,
    warn,
    ...(onWait && { onWait: waits }),
  };
  if (engine !== 'webgpu') return loadEngine(options);
  const selected = selectionFor(number, environmentVariable(adaptersVariable), variables);
  assignEnvironment(selected.variables);
  return loadEngine({ ...options, adapter: selected.choice });
}
