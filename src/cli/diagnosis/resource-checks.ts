/** Checks of the machine's resources: GPUs, cores, memory and disk space. */

import { constants, accessSync, existsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { engineRoot } from '../../worker/engine/cache.js';
import { cgroupLimits, usableCores, usableMemory } from '../environment/cgroup.js';
import { currentEngineHost } from '../environment/environment.js';
import { presentGpus } from '../environment/machine.js';
import type { Check, Finding } from './finding.js';

const gigabyte = 2 ** 30;
const inGigabytes = (bytes: number): string => `${(bytes / gigabyte).toFixed(1)} GB`;

/** A worker with the MNIST recipe takes about 600 MB. */
const workerBytes = 0.75 * gigabyte;
/** An engine, its download, and the checkpoints of a run. */
const neededDiskBytes = 2 * gigabyte;

export const resourceChecks: readonly Check[] = [
  checkGpus,
  checkCores,
  checkMemory,
  () => checkDisk('Disk, here', process.cwd(), 'runs and checkpoints are written here; choose another --out'),
  () => {
    const cache = existingAncestor(engineRoot(currentEngineHost()));
    return checkDisk('Disk, cache', cache, 'the engine is stored there; set XDG_CACHE_HOME');
  },
];

function checkGpus(): Finding {
  try {
    const gpus = presentGpus();
    const found =
      gpus.length > 0 ? gpus.join(', ') : 'none that this process may use; workers compute on the CPU';
    return { name: 'GPUs', state: 'ok', found };
  } catch (error) {
    return { name: 'GPUs', state: 'problem', found: error instanceof Error ? error.message : String(error) };
  }
}

function checkCores(): Finding {
  const limits = cgroupLimits();
  const present = availableParallelism();
  const cores = usableCores(limits, present);
  const isLimited = limits.cpus !== null && limits.cpus < present;
  const quota = isLimited ? ` (a quota of ${limits.cpus} CPUs, of ${present} present)` : '';
  const found = `${cores}${quota}, the largest useful number of workers without GPUs`;
  return { name: 'Cores', state: 'ok', found };
}

function checkMemory(): Finding {
  const limits = cgroupLimits();
  const { totalBytes, freeBytes } = usableMemory(limits);
  const of = limits.memoryBytes === totalBytes ? 'a limit of ' : '';
  const found = `${inGigabytes(freeBytes)} free of ${of}${inGigabytes(totalBytes)}`;
  const workers = Math.floor(freeBytes / workerBytes);
  if (workers >= 2) return { name: 'Memory', state: 'ok', found };
  return {
    name: 'Memory',
    state: 'warning',
    found,
    advice: 'two workers of the MNIST recipe need about 1.5 GB',
  };
}

async function checkDisk(name: string, folder: string, advice: string): Promise<Finding> {
  try {
    accessSync(folder, constants.W_OK);
    const { bavail, bsize } = await statfs(folder);
    const found = `${inGigabytes(bavail * bsize)} free in ${folder}`;
    return bavail * bsize >= neededDiskBytes
      ? { name, state: 'ok', found }
      : { name, state: 'warning', found, advice };
  } catch {
    return { name, state: 'problem', found: `${folder} can't be written`, advice };
  }
}

/** Returns the folder, or its nearest ancestor that exists. */
function existingAncestor(folder: string): string {
  return existsSync(folder) ? folder : existingAncestor(join(folder, '..'));
}
