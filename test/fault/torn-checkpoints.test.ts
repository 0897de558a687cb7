import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { resolveConfig } from '../../src/cli/options/resolve.js';
import { checkpointsFolder } from '../../src/shared/checkpoint/manifest.js';
import { findCheckpoint, readCheckpoint } from '../../src/shared/checkpoint/read-checkpoint.js';
import type { StateLayout } from '../../src/shared/checkpoint/state-tensors.js';
import { runConfigSchema } from '../../src/shared/config/run-config.js';
import { eventually } from '../support/eventually.js';
import { temporaryFolder } from '../support/lockstep.js';

const size = 20_000;
const layout: StateLayout = [
  { name: 'w', shape: [size], vector: 'weights', offset: 0 },
  { name: 'ema/w', shape: [size], vector: 'ema', offset: 0 },
];
const description = {
  runId: '00000000-0000-4000-8000-000000000000',
  config: resolveConfig(runConfigSchema.parse({ workers: 2, threads: 1 }), { cores: 2, gpus: [] }),
  definition: { path: '/config.ts', sha256: 'c'.repeat(64) },
  layoutHash: 'a'.repeat(64),
  dataSha256: 'd'.repeat(64),
  identity: null,
  origin: null,
};

/** A program that writes one checkpoint after the other, from a step on, and reports each that is complete. */
async function writer(folder: string): Promise<string> {
  const script = join(folder, 'write.mjs');
  const module = new URL('../../dist/shared/checkpoint/write-checkpoint.js', import.meta.url);
  await writeFile(
    script,
    `import { writeCheckpoint } from ${JSON.stringify(module.href)};
    for (let step = Number(process.argv[2]); ; step++) {
      const values = () => new Float32Array(${size}).fill(step);
      const state = { vectors: new Map([['weights', values()], ['ema', values()]]), schedulerState: new Map() };
      const layout = ${JSON.stringify(layout)};
      const about = { ...${JSON.stringify(description)}, step };
      const directory = ${JSON.stringify(join(folder, checkpointsFolder))};
      await writeCheckpoint({ directory, about, layout, state, keep: 2 });
      process.send(step);
    }`,
  );
  return script;
}

/** Kills the writer and waits until it has ended and all of its messages have arrived. */
async function end(child: ChildProcess): Promise<void> {
  const ended = Promise.all([once(child, 'exit'), once(child, 'disconnect')]);
  child.kill('SIGKILL');
  await ended;
}

it('a readable checkpoint remains after each of 100 kills, half of them while one is written', async () => {
  const folder = await temporaryFolder();
  const script = await writer(folder);
  const isHalfWritten = async (): Promise<boolean> =>
    (await readdir(join(folder, checkpointsFolder))).some((name) => name.includes('.partial-'));
  let last = 0;
  let halves = 0;
  for (let kill = 0; kill < 100; kill++) {
    const child = fork(script, [String(last + 1)]);
    child.on('message', (step) => (last = step as number));
    await once(child, 'message');
    if (kill % 2 === 0) await eventually('a half-written checkpoint', isHalfWritten);
    await end(child);
    if (await isHalfWritten()) halves++;
    const { manifest, skipped, path } = await findCheckpoint(folder);
    // Every reported checkpoint is there, and possibly one more, whose report was cut off.
    expect([last, last + 1]).toContain(manifest.step);
    expect(skipped).toEqual([]);
    const { vectors } = await readCheckpoint(path, layout, []);
    const values = vectors.get('ema');
    expect(values).toHaveLength(size);
    expect(values?.every((value) => value === manifest.step)).toBe(true);
    last = manifest.step;
  }
  // A write may finish between the look and the kill; if all did, nothing was tested.
  expect(halves).toBeGreaterThan(0);
});
