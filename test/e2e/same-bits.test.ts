import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../support/lockstep.js';
import { wasmRun, writeSmallTraining } from '../support/small-training.js';
import { traceOf } from '../support/trace-of.js';

describe('the same bits', () => {
  it.each([
    ['tensorflow', [2, 3]],
    ['wasm', [2, 3, 5]],
  ] as const)(
    'come from 1 worker, others and a single process, with Dropout, BatchNorm and partial batches: %s',
    async (engine, workers) => {
      const folder = await temporaryFolder();
      // 70 = 64 + 6: the last batch gives one sample to some of the 8 shards, and none to others.
      const { config } = await writeSmallTraining(folder, { count: 70 });
      const common = ['--config', config, '--shards', '8', '--epochs', '50', '--engine', engine];
      const one = await traceOf([...common, '--workers', '1']);
      expect(one.losses).toHaveLength(100);
      expect(new Set(one.losses).size).toBeGreaterThan(90);
      if (engine === 'wasm') expect(one.weightsSha256).toBe(wasmRun.weightsSha256);
      for (const place of [
        ...workers.map((count) => ['--workers', String(count)]),
        ['--workers', '2', '--shared-memory', 'off'],
        ['--single-process'],
      ]) {
        expect(await traceOf([...common, ...place]), place.join(' ')).toEqual(one);
      }
    },
  );

  it('do not come from another seed', async () => {
    const folder = await temporaryFolder();
    const { config } = await writeSmallTraining(folder);
    const args = ['--config', config, '--epochs', '1', '--single-process'];
    const [one, other] = [await traceOf([...args, '--seed', '1']), await traceOf([...args, '--seed', '2'])];
    expect(other.weightsSha256).not.toBe(one.weightsSha256);
    expect(join(one.weightsSha256)).toHaveLength(64);
  });
});
