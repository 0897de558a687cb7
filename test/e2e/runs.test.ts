import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { textTable } from '../../src/cli/tables/text-table.js';
import type { TimedEvent } from '../../src/shared/runs/run-events.js';
import { lockstep, temporaryFolder } from '../support/lockstep.js';
import { runEvent, stepEvent } from '../support/run-events.js';

/** Two runs that differ in their workers alone, and one that failed. */
async function writeRuns(folder: string): Promise<void> {
  const done = { event: 'done', steps: 9, seconds: 83, imagesPerSecond: 941.6, timeMs: 5 } as const;
  const test = {
    event: 'eval',
    split: 'test',
    epoch: 1,
    step: 9,
    loss: 0.03,
    metrics: { accuracy: 0.9912 },
    accuracy: 0.9912,
    correct: 1,
    count: 1,
    timeMs: 4,
  } as const;
  const runs: Record<string, TimedEvent[]> = {
    alone: [runEvent(1), stepEvent(9), test, { ...done, weightsSha256: 'ab'.repeat(32) }],
    pair: [
      { ...runEvent(2), timeMs: 2_000_000 },
      stepEvent(9),
      test,
      { ...done, weightsSha256: 'ab'.repeat(32) },
    ],
    broken: [runEvent(2), { event: 'error', code: 'DATA', message: 'gone', timeMs: 6 }],
  };
  for (const [name, events] of Object.entries(runs)) {
    await mkdir(join(folder, name));
    await writeFile(
      join(folder, name, 'events.ndjson'),
      events.map((event) => `${JSON.stringify(event)}\n`).join(''),
    );
  }
}

describe('lockstep runs', () => {
  it('lists the result of each run, as a table and as JSON', async () => {
    const folder = await temporaryFolder();
    await writeRuns(folder);
    const { status, stdout } = await lockstep(['runs', '--dir', folder]);
    expect(status).toBe(0);
    const [header, first, ...others] = stdout.trimEnd().split('\n');
    expect(header).toMatch(/^run +name +started +outcome +workers +batch/);
    expect(first).toMatch(
      /^pair +digits +1970-01-01 00:33 +done +2 +64 +9 +0\.0300 +99\.12 % +942 +1 min 23 s +100\.0 % +abababababab$/,
    );
    expect(others.join('\n')).toMatch(/broken .*failed/);
    const json = await lockstep(['runs', '--dir', folder, '--json']);
    expect(JSON.parse(json.stdout)).toMatchObject([{ name: 'pair' }, { steps: 0 }, { testAccuracy: 0.9912 }]);
  });

  it('compares the configurations and the weights of runs', async () => {
    const folder = await temporaryFolder();
    await writeRuns(folder);
    const { stdout } = await lockstep(['runs', 'alone', join(folder, 'pair'), '--dir', folder]);
    expect(stdout).toMatch(/^ +alone +pair\n/);
    expect(stdout).toMatch(/^testAccuracy +99\.12 % +99\.12 %$/m);
    expect(stdout).toMatch(/^workers +1 +2$/m);
    expect(stdout).not.toMatch(/^seed/m);
    expect(stdout).toContain('The weights are bit-for-bit identical.');
    const json = await lockstep(['runs', 'alone', 'pair', '--dir', folder, '--json']);
    expect(JSON.parse(json.stdout)).toMatchObject({ differences: [{ field: 'workers', values: [1, 2] }] });
  });

  it('reports an empty folder, and refuses a folder that is not a run', async () => {
    const folder = await temporaryFolder();
    expect((await lockstep(['runs', '--dir', folder])).stdout).toContain(`No runs in ${folder}`);
    const { status, stderr } = await lockstep(['runs', 'none', '--dir', folder]);
    expect(stderr).toMatch(/Run none: expected a folder with events\.ndjson, found none/);
    expect(status).toBe(2);
  });
});

describe('a table of text', () => {
  it('aligns text to the left and numbers to the right', () => {
    expect(
      textTable(
        ['-name', 'n'],
        [
          ['a', '100'],
          ['long', '1'],
        ],
      ),
    ).toEqual(['name    n', 'a     100', 'long    1']);
  });
});
