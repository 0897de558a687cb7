import { describe, expect, it } from 'vitest';
import { cgroupLimits, usableCores, usableMemory } from '../../src/cli/environment/cgroup.js';

const none = { cpus: null, memoryBytes: null, usedBytes: null };
const limitsIn = (files: Readonly<Record<string, string>>) => cgroupLimits((file) => files[file]);

describe('the limits of control groups', () => {
  it('version 2: the smallest limit of the group and those above it', () => {
    const base = '/sys/fs/cgroup';
    expect(
      limitsIn({
        '/proc/self/cgroup': '0::/kubepods/pod1/main',
        [`${base}/kubepods/pod1/main/cpu.max`]: 'max 100000',
        [`${base}/kubepods/pod1/cpu.max`]: '250000 100000',
        [`${base}/kubepods/cpu.max`]: '800000 100000',
        [`${base}/kubepods/pod1/main/memory.max`]: '4294967296',
        [`${base}/kubepods/pod1/main/memory.current`]: '1073741824',
        [`${base}/kubepods/pod1/memory.max`]: 'max',
      }),
    ).toEqual({ cpus: 2.5, memoryBytes: 4 * 2 ** 30, usedBytes: 2 ** 30 });
  });

  it('version 2: a container sees its own group as the root', () => {
    const files = { '/proc/self/cgroup': '0::/', '/sys/fs/cgroup/cpu.max': '50000 100000' };
    expect(limitsIn(files)).toEqual({ ...none, cpus: 0.5 });
  });

  it('version 1: a controller in a folder of its own, whose path can be that of the host', () => {
    expect(
      limitsIn({
        '/proc/self/cgroup':
          '12:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n0::/system.slice',
        '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '300000',
        '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000',
        '/sys/fs/cgroup/memory/memory.limit_in_bytes': '2147483648',
        '/sys/fs/cgroup/memory/memory.usage_in_bytes': '1000',
      }),
    ).toEqual({ cpus: 3, memoryBytes: 2 ** 31, usedBytes: 1000 });
  });

  it('no limit: -1 and 2^63 of version 1, `max` of version 2, and no control groups at all', () => {
    expect(
      limitsIn({
        '/proc/self/cgroup': '4:cpu:/\n5:memory:/',
        '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1',
        '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000',
        '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712',
      }),
    ).toEqual(none);
    expect(limitsIn({ '/proc/self/cgroup': '0::/', '/sys/fs/cgroup/cpu.max': 'max 100000' })).toEqual(none);
    expect(limitsIn({})).toEqual(none);
  });

  it.each([
    [null, 8, 8],
    [2.5, 8, 2],
    [0.5, 8, 1],
    [16, 8, 8],
  ])('a quota of %s CPUs on a machine of %i cores leaves %i', (cpus, present, usable) => {
    expect(usableCores({ ...none, cpus }, present)).toBe(usable);
  });

  it('the free memory is what the group has left, if that is less', () => {
    const machine = { totalBytes: 1000, freeBytes: 700 };
    expect(usableMemory(none, machine)).toEqual(machine);
    const limits = { cpus: null, memoryBytes: 400, usedBytes: 150 };
    expect(usableMemory(limits, machine)).toEqual({ totalBytes: 400, freeBytes: 250 });
  });
});
