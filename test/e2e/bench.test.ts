import { describe, expect, it } from 'vitest';
import { join } from 'node:path';
import { stepParts } from '../../src/shared/timeline/step-parts.js';
import { lockstep, temporaryFolder } from '../support/lockstep.js';
import { writeSmallTraining } from '../support/small-training.js';

describe('lockstep bench train', () => {
  it('prints rates, quartiles and the timeline of every worker, as JSON and as a table', async () => {
    const folder = await temporaryFolder();
    const { config } = await writeSmallTraining(folder);
    const args = [
      'bench',
      'train',
      '--config',
      config,
      '--steps',
      '9',
      '--rounds',
      '2',
      '--batch-size',
      '32',
    ];
    const run = await lockstep([...args, '--json']);
    expect(run.status, run.stderr).toBe(0);
    const figures = JSON.parse(run.stdout) as {
      imagesPerSecond: Record<'median' | 'lowerQuartile' | 'upperQuartile', number>;
      stepMs: { median: number };
      timeline: { rank: number; step: number; parts: Record<string, number> }[];
    };
    expect(figures).toMatchObject({ workers: 2, threads: 1, batchSize: 32, steps: 9, rounds: 2 });
    const { lowerQuartile, median, upperQuartile } = figures.imagesPerSecond;
    expect(lowerQuartile).toBeGreaterThan(0);
    expect(lowerQuartile).toBeLessThanOrEqual(median);
    expect(median).toBeLessThanOrEqual(upperQuartile);
    expect(figures.stepMs.median).toBeGreaterThan(0);
    expect(figures.timeline.map(({ rank }) => rank)).toEqual([0, 1]);
    for (const { parts, step } of figures.timeline) {
      expect(Object.keys(parts).sort()).toEqual([...stepParts].sort());
      expect(parts['forward']).toBeLessThan(step);
    }
    const table = await lockstep([...args, '--single-process']);
    expect(table.status, table.stderr).toBe(0);
    expect(table.stdout).toMatch(/^ {2}images per second( +\d+){3}$/m);
    expect(table.stdout).toMatch(/^ {2}waiting for BatchNorm +\d+\.\d$/m);
  });

  it('passes on the error and the exit status of the training', async () => {
    const folder = await temporaryFolder();
    const refused = await lockstep(['bench', 'train', '--config', join(folder, 'none.ts')]);
    expect(refused.status).toBe(2);
    expect(refused.stderr).toContain('none.ts');
    for (const flag of ['--steps', '--rounds', '--workers']) {
      const { status, stderr } = await lockstep(['bench', 'train', flag, 'many']);
      expect(status).toBe(2);
      expect(stderr).toContain(flag);
    }
  });
});

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

  it('refuses invalid sizes and counts, and names them', async () => {
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
