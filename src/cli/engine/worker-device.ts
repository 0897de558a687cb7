/** Selects the device and the number of threads of a worker process. */

import { resolvedConfigSchema, type ResolvedConfig } from '../../shared/config/run-config.js';
import { ConfigError } from '../../shared/errors.js';
import type { EngineDevice } from '../../worker/engine/environment.js';
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

/**
 * The launcher assigns a device. Without one, the worker's number on its host selects one of the GPUs that the config allows.
 * @param number counted from 0
 */
export function chooseDevice(
  config: ResolvedConfig,
  given: string | undefined,
  number: number,
): EngineDevice {
  if (given !== undefined) return given === 'cpu' ? 'cpu' : Number(given);
  const gpus = chooseGpus(config.devices, machine(config.devices).present);
  return gpus[number % Math.max(1, gpus.length)] ?? 'cpu';
}

/**
 * Returns the number of the worker's adapter for the engine `webgpu`, where it is the worker's number by default.
 * @param given the option --device of a worker that was started by hand
 * @throws ConfigError
 */
export function adapterNumber(
  { engine }: Pick<ResolvedConfig, 'engine'>,
  given: string | undefined,
  number: number,
): number {
  if (engine !== 'webgpu' || given === undefined) return number;
  if (/^\d{1,4}$/.test(given)) return Number(given);
  throw new ConfigError(
    `--device: expected the number of an adapter with the engine webgpu, got "${given}". Remove the option, or choose another engine.`,
  );
}
