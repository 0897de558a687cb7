/** The hardware of this machine, as far as the configuration depends on it. */

import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';
import { alone, type Placement } from '../../launcher/platforms/platform.js';
import { adaptersVariable, parseAdapters } from '../../worker/engine/webgpu/adapters.js';
import { usableCores } from './cgroup.js';
import { environmentVariable, givenGpus } from './environment.js';
import { visibleGpus } from './visible-gpus.js';
import type { Machine } from '../options/resolve.js';

/**
 * Returns the numbers of the GPUs that this process may use; empty without a driver.
 * @throws ConfigError if CUDA_VISIBLE_DEVICES names another one
 */
export function presentGpus(): number[] {
  return visibleGpus(listedGpus(), givenGpus);
}

function listedGpus(): string {
  try {
    return execFileSync('nvidia-smi', ['--query-gpu=index,uuid', '--format=csv,noheader'], {
      encoding: 'utf8',
      timeout: 10_000,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  } catch {
    return '';
  }
}

/**
 * @param placement of a process in a scheduler's job; default: none
 * @throws ConfigError if the list of WebGPU's adapters or CUDA_VISIBLE_DEVICES is not valid
 */
export function machine(
  devices: string,
  placement: Placement = alone,
): Machine & { present: readonly number[] } {
  const present = devices === 'cpu' ? [] : presentGpus();
  const adapters = environmentVariable(adaptersVariable);
  const count = adapters === undefined ? 1 : parseAdapters(adapters).length;
  const cores = coresOf(placement, usableCores(), cpus().length);
  const coresPerWorker = placement.size > 1 ? cores : null;
  return { cores, gpus: present, present, adapters: count, coresPerWorker };
}

/**
 * Returns the number of cores for this task of a job: what the scheduler grants, at most those of the affinity. If neither separates the
 * tasks of the node, they share the machine.
 * @param usable number of cores that this process may use
 * @param installed number of cores of the machine
 */
export function coresOf({ cores, localSize }: Placement, usable: number, installed: number): number {
  if (cores !== null) return Math.min(cores, usable);
  return usable < installed ? usable : Math.max(1, Math.floor(usable / localSize));
}
