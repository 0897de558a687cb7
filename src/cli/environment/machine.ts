/** The hardware of this machine, as far as the configuration depends on it. */

import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';
import { alone, type Placement } from '../../launcher/platforms/platform.js';
import { adaptersVariable, parseAdapters } from '../../worker/engine/webgpu/adapters.js';
import { usableCores } from './cgroup.js';
import { environmentVariable } from './environment.js';
import type { Machine } from '../options/resolve.js';

/** Returns the numbers of the GPUs that the NVIDIA driver lists; empty without a driver. */
export function presentGpus(): number[] {
  try {
    const list = execFileSync('nvidia-smi', ['--query-gpu=index', '--format=csv,noheader'], {
      encoding: 'utf8',
      timeout: 10_000,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return list.split('\n').filter(Boolean).map(Number).filter(Number.isInteger);
  } catch {
    return [];
  }
}

/**
 * @param placement of a process in a scheduler's job; default: none
 * @throws ConfigError if the list of WebGPU's adapters is not valid
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
