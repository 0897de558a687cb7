/** Selects the device and the number of threads of a worker process. */

import { resolvedConfigSchema, type ResolvedConfig } from '../../shared/config/run-config.js';
import { ConfigError } from '../../shared/errors.js';
import type { EngineDevice } from '../../worker/engine/environment.js';
import { instanceNumber } from '../environment/environment.js';
import { machine } from '../environment/machine.js';
import { chooseGpus } from '../options/resolve.js';

/** Returns the number of threads if this host needs another one than the run. @throws ConfigError */
export function threadsOf(given: string | undefined): Partial<Pick<ResolvedConfig, 'threads'>> {
  if (given === undefined) return {};
  const parsed = resolvedConfigSchema.shape.threads.safeParse(Number(given));
  if (!parsed.success)
    throw new ConfigError(`--threads: expected a whole number from 1 to 1024, got "${given}".`);
  return { threads: parsed.data };
}

/** The launcher assigns a device. Without one, the instance's number selects one of the GPUs that the config allows. */
export function chooseDevice(config: ResolvedConfig, given: string | undefined): EngineDevice {
  if (given !== undefined) return given === 'cpu' ? 'cpu' : Number(given);
  const gpus = chooseGpus(config.devices, machine(config.devices).present);
  return gpus[instanceNumber() % Math.max(1, gpus.length)] ?? 'cpu';
}
