/**
 * The limits that a container or a service manager sets through control groups, version 1 and 2. A limit of a group holds for all groups
 * below it, so every group from that of this process up to the root is read.
 */

import { readFileSync } from 'node:fs';
import { availableParallelism, freemem, totalmem } from 'node:os';
import { dirname, join } from 'node:path';

/** Returns the text of a file; undefined if it cannot be read. */
type Read = (file: string) => string | undefined;

export interface CgroupLimits {
  /** CPU time per time; null: no limit. */
  readonly cpus: number | null;
  readonly memoryBytes: number | null;
  /** Memory of the group with the smallest limit that is in use. */
  readonly usedBytes: number | null;
}

const readText: Read = (file) => {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return undefined;
  }
};

export function cgroupLimits(read: Read = readText): CgroupLimits {
  const lines = (read('/proc/self/cgroup') ?? '').split('\n').map((line) => line.split(':'));
  const groupsOf = (controller: string): { folder: string; isUnified: boolean }[] =>
    lines.flatMap(([id, controllers = '', ...path]) => {
      const isUnified = id === '0' && controllers === '';
      if (!isUnified && !controllers.split(',').includes(controller)) return [];
      const root = isUnified ? '/sys/fs/cgroup' : `/sys/fs/cgroup/${controller}`;
      return ancestors(path.join(':')).map((below) => ({ folder: join(root, below), isUnified }));
    });
  const cpus = groupsOf('cpu').flatMap(({ folder, isUnified }) =>
    finite(isUnified ? unifiedQuota(read, folder) : separateQuota(read, folder)),
  );
  const memory = groupsOf('memory').flatMap(({ folder, isUnified }) => {
    const [limit, used] = isUnified
      ? ['memory.max', 'memory.current']
      : ['memory.limit_in_bytes', 'memory.usage_in_bytes'];
    const usedBytes = finite(read(join(folder, used)))[0] ?? null;
    return finite(read(join(folder, limit))).map((bytes) => ({ bytes, usedBytes }));
  });
  const [smallest] = memory.sort((a, b) => a.bytes - b.bytes);
  return {
    cpus: cpus.length > 0 ? Math.min(...cpus) : null,
    memoryBytes: smallest?.bytes ?? null,
    usedBytes: smallest?.usedBytes ?? null,
  };
}

/** `/a/b`, `/a` and `/`. In a container the path can be that of the host, of which only the root exists. */
function ancestors(path: string): string[] {
  return path === '/' || path === '' || path === '.' ? ['/'] : [path, ...ancestors(dirname(path))];
}

/** `cpu.max` contains quota and period, or `max`. */
function unifiedQuota(read: Read, folder: string): number | undefined {
  const [quota, period] = (read(join(folder, 'cpu.max')) ?? '').split(' ').map(Number);
  return quota === undefined || period === undefined ? undefined : quota / period;
}

/** A quota of -1 is none. */
function separateQuota(read: Read, folder: string): number | undefined {
  const quota = Number(read(join(folder, 'cpu.cfs_quota_us')) ?? NaN);
  const period = Number(read(join(folder, 'cpu.cfs_period_us')) ?? NaN);
  return quota > 0 ? quota / period : undefined;
}

/** Version 1 states no limit as almost 2^63. */
const unlimited = 2 ** 60;

function finite(value: string | number | undefined): number[] {
  const number = Number(value === '' ? NaN : (value ?? NaN));
  return Number.isFinite(number) && number > 0 && number < unlimited ? [number] : [];
}

/** Returns the number of cores that this process may use: those of its affinity, at most the whole ones of its quota. */
export function usableCores({ cpus } = cgroupLimits(), present = availableParallelism()): number {
  return cpus === null ? present : Math.max(1, Math.min(present, Math.floor(cpus)));
}

/** Returns the memory that this process may use and what of it is free. */
export function usableMemory(
  { memoryBytes, usedBytes } = cgroupLimits(),
  machine = { totalBytes: totalmem(), freeBytes: freemem() },
): { totalBytes: number; freeBytes: number } {
  if (memoryBytes === null || memoryBytes >= machine.totalBytes) return machine;
  const freeBytes = Math.min(machine.freeBytes, Math.max(0, memoryBytes - (usedBytes ?? 0)));
  return { totalBytes: memoryBytes, freeBytes };
}
