import { mkdir, readFile, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  checkpointName,
  checkpointsFolder,
  readManifest,
  type CheckpointDescription,
} from '../../src/shared/checkpoint/manifest.js';
import { findCheckpoint, readCheckpoint } from '../../src/shared/checkpoint/read-checkpoint.js';
import { decodeSafetensors } from '../../src/shared/checkpoint/safetensors.js';
import type { CheckpointState, StateLayout } from '../../src/shared/checkpoint/state-tensors.js';
import { writeCheckpoint } from '../../src/shared/checkpoint/write-checkpoint.js';
import { parseInterval } from '../../src/shared/config/interval.js';
import { resolveConfig } from '../../src/cli/options/resolve.js';
import { runConfigSchema } from '../../src/shared/config/run-config.js';
import { CheckpointError } from '../../src/shared/errors.js';
import { checkpointContext } from '../support/checkpoint-context.js';
import { temporaryFolder } from '../support/lockstep.js';

const layout: StateLayout = [
  { name: 'dense/kernel', shape: [3, 2], vector: 'weights', offset: 2 },
  { name: 'dense/bias', shape: [2], vector: 'weights', offset: 0 },
  { name: 'norm/moving_mean', shape: [2], vector: 'statistics', offset: 0 },
  { name: 'adam.first/dense/kernel', shape: [3, 2], vector: 'adam.first', offset: 2 },
  { name: 'adam.first/dense/bias', shape: [2], vector: 'adam.first', offset: 0 },
];
const config = resolveConfig(runConfigSchema.parse({ workers: 2, threads: 1 }), { cores: 2, gpus: [] });

const about = (step: number): CheckpointDescription => ({ ...checkpointContext(config), step });

const state = (step: number): CheckpointState => ({
  vectors: new Map([
    ['weights', Float32Array.from({ length: 8 }, (_, i) => step + i)],
    ['statistics', Float32Array.of(-0, step)],
    ['adam.first', Float32Array.from({ length: 8 }, (_, i) => 0.5 + i)],
  ]),
  schedulerState: new Map([
    ['plateau.best', Number.POSITIVE_INFINITY],
    ['plateau.rate', 0.1],
  ]),
});

const numbers = ['plateau.best', 'plateau.rate'];

const write = (folder: string, step: number, keep = 3): Promise<string> =>
  writeCheckpoint({
    directory: join(folder, checkpointsFolder),
    about: about(step),
    layout,
    state: state(step),
    keep,
  });

describe('a checkpoint', () => {
  it('restores every bit, and the newest one is found from the run folder', async () => {
    const folder = await temporaryFolder();
    for (const step of [5, 10, 15, 20]) await write(folder, step);
    expect((await readdir(join(folder, checkpointsFolder))).sort()).toEqual([10, 15, 20].map(checkpointName));
    const { path, manifest, skipped } = await findCheckpoint(folder);
    expect([manifest.step, skipped]).toEqual([20, []]);
    expect(await readCheckpoint(path, layout, numbers)).toEqual({ step: 20, ...state(20) });
    // A worker that was considered lost may write the same checkpoint again.
    await write(folder, 20);
    expect(await readCheckpoint(path, layout, numbers)).toEqual({ step: 20, ...state(20) });
  });

  it('has one tensor per weight, in the order of the layout', async () => {
    const path = await write(await temporaryFolder(), 4);
    const file = join(path, 'state.safetensors');
    const { tensors } = decodeSafetensors(await readFile(file), file);
    expect([...tensors].map(([name, { shape, values }]) => [name, shape, [...values]])).toEqual([
      ['dense/kernel', [3, 2], [6, 7, 8, 9, 10, 11]],
      ['dense/bias', [2], [4, 5]],
      ['norm/moving_mean', [2], [-0, 4]],
      ['adam.first/dense/kernel', [3, 2], [2.5, 3.5, 4.5, 5.5, 6.5, 7.5]],
      ['adam.first/dense/bias', [2], [0.5, 1.5]],
      ['number/plateau.best', [], [Number.POSITIVE_INFINITY]],
      ['number/plateau.rate', [], [0.1]],
    ]);
  });

  it('is skipped with a reason if it is damaged, and the previous one is used', async () => {
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

  it('is either read or refused with a CheckpointError if its manifest is damaged', async () => {
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

  it('is refused if it belongs to another model, with the name of the tensor', async () => {
    const path = await write(await temporaryFolder(), 1);
    const other: StateLayout = [{ ...layout[0]!, shape: [3, 3] }];
    await expect(readCheckpoint(path, other, numbers)).rejects.toThrow(
      /expected "dense\/kernel" of 3x3 .* got 3x2/,
    );
  });

  it('is read in the first format if its names tell all weights apart, else refused', async () => {
    const path = await write(await temporaryFolder(), 1);
    const file = join(path, 'manifest.json');
    const text = await readFile(file, 'utf8');
    expect(text).toContain('"format": 2');
    await writeFile(file, text.replace('"format": 2', '"format": 1'));
    expect((await readCheckpoint(path, layout, numbers)).vectors).toEqual(state(1).vectors);
    const twoBlocks = layout.map((slice, i) => (i === 1 ? { ...slice, name: 'b/dense/bias' } : slice));
    await expect(readCheckpoint(path, twoBlocks, numbers)).rejects.toThrow(
      /expected a checkpoint of format 2, got format 1, .* it has no "b\/dense\/bias"\. Train from the start/,
    );
  });

  it('leaves the earlier ones unchanged if it cannot be written', async () => {
    const folder = await temporaryFolder();
    await write(folder, 1);
    // A file in place of the folder makes the write fail.
    await mkdir(join(folder, 'x'));
    await writeFile(join(folder, 'x', checkpointsFolder), '');
    await expect(write(join(folder, 'x'), 2)).rejects.toThrow(
      /Checkpoint of step 2 can't be written .*Training continues/,
    );
    expect((await findCheckpoint(folder)).manifest.step).toBe(1);
  });

  it('is due after an interval in steps, epochs or time', () => {
    expect(parseInterval('200steps')).toEqual({ unit: 'steps', count: 200 });
    expect(parseInterval('1epoch')).toEqual({ unit: 'epochs', count: 1 });
    expect(parseInterval('5min')).toEqual({ unit: 'time', count: 300_000 });
    for (const wrong of ['0steps', '5', 'min', '-1s', '5 min', '1e3steps'])
      expect(runConfigSchema.safeParse({ checkpointEvery: wrong }).success, wrong).toBe(false);
  });
});
