import { describe, expect, it } from 'vitest';
import { lockstep } from '../support/lockstep.js';

describe('lockstep bench allreduce', () => {
  it('times real processes, through shared memory and through sockets', async () => {
    for (const sharedMemory of ['auto', 'off']) {
      const sizes = ['--bytes', '512,40000,3000000', '--rounds', '3', '--workers', '3'];
      const run = await lockstep(['bench', 'allreduce', ...sizes, '--shared-memory', sharedMemory, '--json']);
      expect(run.status, run.stderr).toBe(0);
      const { workers, results } = JSON.parse(run.stdout) as {
        workers: number;
        results: { bytes: number; microseconds: number; memcpyMicroseconds: number }[];
      };
      expect(workers).toBe(3);
      expect(results.map(({ bytes }) => bytes)).toEqual([512, 40_000, 3_000_000]);
      expect(results.every(({ microseconds }) => microseconds > 0)).toBe(true);
    }
  });

  it('refuses sizes and counts that make no sense, naming them', async () => {
    for (const [flag, value] of [
      ['--bytes', '512,-1'],
      ['--workers', '1'],
      ['--rounds', 'many'],
    ] as const) {
      const { status, stderr } = await lockstep(['bench', 'allreduce', flag, value]);
      expect(status).toBe(2);
      expect(stderr).toContain(flag);
    }
  });
});
