/** The hardware of this machine, as far as the configuration depends on it. */

import { execFileSync } from 'node:child_process';
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

/** @throws ConfigError if the list of WebGPU's adapters is not valid */
export function machine(devices: string): Machine & { present: readonly number[] } {
  const present = devices === 'cpu' ? [] : presentGpus();
  const adapters = environmentVariable(adaptersVariable);
  const count = adapters === undefined ? 1 : parseAdapters(adapters).length;
  return { cores: usableCores(), gpus: present, present, adapters: count };
}
