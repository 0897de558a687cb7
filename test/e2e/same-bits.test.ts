import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { RunEvent } from '../../src/shared/runs/run-events.js';
import { lockstep, temporaryFolder } from '../support/lockstep.js';
import { writeSmallMnist } from '../support/small-mnist.js';
import { writeSmallTraining } from '../support/small-training.js';

interface Trace {
  readonly losses: readonly number[];
  readonly evaluations: readonly unknown[];
  readonly weightsSha256: string;
}

const smallTrainingInWasm = 'd0015d7518d74ecdbcd547f3ce85a01b6614fcfac32e6dd2c8cfddf9d21be7ac';

async function trace(args: readonly string[]): Promise<Trace> {
  const out = await temporaryFolder();
  const { status, events, stderr } = await lockstep([
    'train',
    ...args,
    '--threads',
    '1',
    '--out',
    out,
    '--json',
  ]);
  expect(status, stderr).toBe(0);
  const of = <Name extends RunEvent['event']>(name: Name) =>
    events.filter((event): event is Extract<RunEvent, { event: Name }> => event.event === name);
  return {
    losses: of('step').map(({ loss }) => loss),
    evaluations: of('eval').map(({ split, loss, correct, count }) => ({ split, loss, correct, count })),
    weightsSha256: of('done')[0]?.weightsSha256 ?? 'none',
  };
}

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
      const one = await trace([...common, '--workers', '1']);
      expect(one.losses).toHaveLength(100);
      expect(new Set(one.losses).size).toBeGreaterThan(90);
      // WebAssembly is specified to the bit, so this is the hash on any machine. A change of its kernels changes it.
      if (engine === 'wasm') expect(one.weightsSha256).toBe(smallTrainingInWasm);
      for (const place of [
        ...workers.map((count) => ['--workers', String(count)]),
        ['--workers', '2', '--shared-memory', 'off'],
        ['--single-process'],
      ]) {
        expect(await trace([...common, ...place]), place.join(' ')).toEqual(one);
      }
    },
  );

  it('come in bfloat16 as well, and are others than in float32', async () => {
    const folder = await temporaryFolder();
    const { config } = await writeSmallTraining(folder, { count: 70 });
    const common = ['--config', config, '--shards', '3', '--epochs', '10'];
    const one = await trace([...common, '--precision', 'bfloat16', '--workers', '1']);
    const two = await trace([...common, '--precision', 'bfloat16', '--workers', '2']);
    expect(two).toEqual(one);
    const full = await trace([...common, '--workers', '2']);
    expect(full.losses[0]).not.toBe(one.losses[0]);
    expect(Math.abs((full.losses[0] ?? 0) / (one.losses[0] ?? 0) - 1)).toBeLessThan(0.02);
  });

  it('come for the ConvNet at every number of workers, also over the ends of epochs', async () => {
    const data = await temporaryFolder();
    // 130 = 60 + 60 + 10: each epoch ends with a batch that has a sample or two for each of the 8 shards.
    await writeSmallMnist(data, 130);
    const fixed = ['--data', data, '--shards', '8', '--batch-size', '60', '--seed', '7', '--epochs', '2'];
    const one = await trace([...fixed, '--workers', '1']);
    expect(one.losses).toHaveLength(6);
    expect(one.evaluations).toHaveLength(3);
    for (const place of [
      ...[2, 3, 5, 7, 8].map((workers) => ['--workers', String(workers)]),
      ['--workers', '4', '--shared-memory', 'off'],
      ['--single-process'],
    ]) {
      expect(await trace([...fixed, ...place]), place.join(' ')).toEqual(one);
    }
    const wasm = [...fixed, '--engine', 'wasm'];
    expect(await trace([...wasm, '--workers', '5'])).toEqual(await trace([...wasm, '--workers', '2']));
  });

  it('do not come from another seed', async () => {
    const folder = await temporaryFolder();
    const { config } = await writeSmallTraining(folder);
    const args = ['--config', config, '--epochs', '1', '--single-process'];
    const [one, other] = [await trace([...args, '--seed', '1']), await trace([...args, '--seed', '2'])];
    expect(other.weightsSha256).not.toBe(one.weightsSha256);
    expect(join(one.weightsSha256)).toHaveLength(64);
  });
});
