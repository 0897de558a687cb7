import { mkdir, readFile, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  checkpointName,
  checkpointsFolder,
  findCheckpoint,
  readCheckpoint,
  readManifest,
  writeCheckpoint,
  type CheckpointDescription,
  type CheckpointNames,
  type CheckpointState,
} from '../../src/shared/checkpoint/checkpoint.js';
import { parseInterval } from '../../src/shared/config/interval.js';
import { resolveConfig } from '../../src/cli/options/resolve.js';
import { runConfigSchema } from '../../src/shared/config/run-config.js';
import { CheckpointError } from '../../src/shared/errors.js';
import type { Layout } from '../../src/shared/model/layout.js';
import { temporaryFolder } from '../support/lockstep.js';

const layout: Layout = [
  { name: 'dense/kernel', shape: [3, 2], dtype: 'float32', trainable: true },
  { name: 'norm/moving_mean', shape: [2], dtype: 'float32', trainable: false },
];
const config = resolveConfig(runConfigSchema.parse({ workers: 2, threads: 1 }), { cores: 2, gpus: [] });

const about = (step: number): CheckpointDescription => ({
  runId: '00000000-0000-4000-8000-000000000000',
  step,
  config,
  definition: { path: '/config.ts', sha256: 'c'.repeat(64) },
  layoutHash: 'a'.repeat(64),
  dataSha256: 'd'.repeat(64),
  identity: null,
});

const state = (step: number): CheckpointState => {
  const kernel = (start: number): Float32Array => Float32Array.from({ length: 6 }, (_, i) => start + i);
  const bias = Float32Array.of(-0, step);
  return {
    weights: [kernel(step), bias],
    slots: new Map([
      ['adam.first', new Map([[0, kernel(0.5)]])],
      [
        'ema',
        new Map([
          [0, kernel(0.25)],
          [1, bias],
        ]),
      ],
    ]),
    schedulerState: new Map([
      ['plateau.best', Number.POSITIVE_INFINITY],
      ['plateau.rate', 0.1],
    ]),
  };
};

const names: CheckpointNames = {
  slots: new Map([
    ['adam.first', [0]],
    ['ema', [0, 1]],
  ]),
  schedulerState: ['plateau.best', 'plateau.rate'],
};

const write = (folder: string, step: number, keep = 3): Promise<string> =>
  writeCheckpoint(join(folder, checkpointsFolder), about(step), layout, state(step), keep);

describe('checkpoints', () => {
  it('give back every bit, and the newest is found from the folder of the run', async () => {
    const folder = await temporaryFolder();
    for (const step of [5, 10, 15, 20]) await write(folder, step);
    expect((await readdir(join(folder, checkpointsFolder))).sort()).toEqual([10, 15, 20].map(checkpointName));
    const { path, manifest, skipped } = await findCheckpoint(folder);
    expect([manifest.step, skipped]).toEqual([20, []]);
    expect(await readCheckpoint(path, layout, names)).toEqual({ step: 20, ...state(20) });
    // Written again, as by a worker that was believed lost, it is the same.
    await write(folder, 20);
    expect(await readCheckpoint(path, layout, names)).toEqual({ step: 20, ...state(20) });
  });

  it('are skipped with the reason when they do not verify, and the one before is used', async () => {
    const folder = await temporaryFolder();
    const paths = [];
    for (const step of [1, 2, 3, 4, 5]) paths.push(await write(folder, step, 9));
    const [, torn = '', flipped = '', short = '', absent = ''] = paths;
    await writeFile(
      join(torn, 'manifest.json'),
      (await readFile(join(torn, 'manifest.json'), 'utf8')).slice(0, 99),
    );
    const bytes = await readFile(join(flipped, 'state.safetensors'));
    bytes[bytes.length - 3] = (bytes.at(-3) ?? 0) ^ 1;
    await writeFile(join(flipped, 'state.safetensors'), bytes);
    await truncate(join(short, 'state.safetensors'), 40);
    await rm(join(absent, 'state.safetensors'));
    const { manifest, skipped } = await findCheckpoint(folder);
    expect(manifest.step).toBe(1);
    expect(skipped).toEqual([
      expect.stringMatching(/step-000000005.*expected a readable file, got ENOENT/),
      expect.stringMatching(/step-000000004.*expected \d+ bytes, got 40/),
      expect.stringMatching(/step-000000003.*expected SHA-256 .*, got/),
      expect.stringMatching(/step-000000002.*got text that is not JSON/),
    ]);
    await expect(findCheckpoint(join(folder, 'nothing'))).rejects.toThrow(/No checkpoint in .* can be used/);
  });

  it('refuse a manifest of anything else, whatever it is', async () => {
    const folder = await temporaryFolder();
    const path = await write(folder, 1);
    const file = join(path, 'manifest.json');
    const text = await readFile(file, 'utf8');
    await fc.assert(
      fc.asyncProperty(
        fc.nat(text.length - 2),
        fc.string({ minLength: 1, maxLength: 3 }),
        async (at, put) => {
          await writeFile(file, text.slice(0, at) + put + text.slice(at + put.length));
          await readManifest(path).catch((error: unknown) => expect(error).toBeInstanceOf(CheckpointError));
        },
      ),
      { numRuns: 200 },
    );
  });

  it('of another model are refused, naming the tensor', async () => {
    const path = await write(await temporaryFolder(), 1);
    const other: Layout = [{ ...layout[0]!, shape: [3, 3] }, layout[1]!];
    await expect(readCheckpoint(path, other, names)).rejects.toThrow(
      /expected "dense\/kernel" of 3x3 .* got 3x2/,
    );
  });

  it('that cannot be written leave the earlier ones alone', async () => {
    const folder = await temporaryFolder();
    await write(folder, 1);
    // Nobody can write here: it is a file.
    await mkdir(join(folder, 'x'));
    await writeFile(join(folder, 'x', checkpointsFolder), '');
    await expect(write(join(folder, 'x'), 2)).rejects.toThrow(
      /Checkpoint of step 2 can't be written .*Training goes on/,
    );
    expect((await findCheckpoint(folder)).manifest.step).toBe(1);
  });


  it('are due by steps, epochs or time', () => {
    expect(parseInterval('200steps')).toEqual({ unit: 'steps', count: 200 });
    expect(parseInterval('1epoch')).toEqual({ unit: 'epochs', count: 1 });
    expect(parseInterval('5min')).toEqual({ unit: 'time', count: 300_000 });
    for (const wrong of ['0steps', '5', 'min', '-1s', '5 min', '1e3steps'])
      expect(runConfigSchema.safeParse({ checkpointEvery: wrong }).success, wrong).toBe(false);
  });
});
