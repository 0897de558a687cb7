import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { RunSummary } from '../../src/shared/runs/run-list.js';
import { eventually } from '../support/eventually.js';
import { Lockstep, lockstep, temporaryFolder } from '../support/lockstep.js';
import { writeSmallTraining } from '../support/small-training.js';

const env = { LOCKSTEP_ENGINE: 'wasm' };

interface Results {
  readonly best: string;
  readonly runs: readonly {
    readonly run: string;
    readonly set: Readonly<Record<string, string>>;
    readonly outcome: string;
    readonly steps: number;
    readonly testLoss: number;
    readonly weightsSha256: string;
  }[];
}

it('continues with the remaining runs after it was killed, and compares all of them', async () => {
  const cwd = await temporaryFolder();
  await writeSmallTraining(cwd);
  const options = [
    '--single-process',
    '--epochs',
    '60',
    '--checkpoint-every',
    '10steps',
    '--evaluate',
    'test',
  ];
  const grid = ['sweep', '--grid', 'optimizer.learningRate=0.001,0.0001', '--out', 'sweep', '--json'];
  const killed = new Lockstep([...grid, '--', ...options], { cwd, env });
  const second = join(cwd, 'sweep', '002');
  await eventually('the first run', () => existsSync(join(cwd, 'sweep', '001')));
  const twice = await lockstep(['sweep', '--out', 'sweep'], { cwd, env });
  expect(twice.stderr).toMatch(
    new RegExp(
      `expected a sweep that no process continues, got one that process ${killed.pid} has continued`,
    ),
  );
  expect(twice.status).toBe(2);
  // The first run is finished, and the second one has begun to save.
  await eventually('a checkpoint of the second run', () => existsSync(join(second, 'checkpoints')));
  killed.kill('SIGKILL');
  await killed.ended;

  const other = await lockstep(['sweep', '--grid', 'batchSize=8', '--out', 'sweep'], { cwd, env });
  expect(other.stderr).toMatch(
    /expected the sweep that it has \(--grid optimizer.learningRate=0.001,0.0001 -- --single/,
  );
  expect(other.status).toBe(2);

  const firstLog = await readFile(join(cwd, 'sweep', '001', 'events.ndjson'), 'utf8');
  const { status, stdout, stderr } = await lockstep(['sweep', '--out', 'sweep', '--json'], { cwd, env });
  expect(status, stderr).toBe(0);
  const { runs } = JSON.parse(stdout) as Results;
  // The finished run was not repeated.
  expect(await readFile(join(cwd, 'sweep', '001', 'events.ndjson'), 'utf8')).toBe(firstLog);
  expect(runs.map(({ outcome }) => outcome)).toEqual(['done', 'done']);
  expect(new Set(runs.map(({ set }) => set['optimizer.learningRate']))).toEqual(new Set(['0.001', '0.0001']));
  expect(runs[0]?.testLoss).toBeLessThan(runs[1]?.testLoss ?? 0);
  const csv = (await readFile(join(cwd, 'sweep', 'results.csv'), 'utf8')).split('\n');
  expect(csv[0]).toBe('run,outcome,optimizer.learningRate,steps,loss,accuracy,weights');
  expect(csv).toHaveLength(4);

  // The interrupted run has the bits of an undisturbed one.
  const alone = ['train', ...options, '--set', 'optimizer.learningRate=0.0001', '--out', 'alone', '--json'];
  const undisturbed = (await lockstep(alone, { cwd, env })).events.find(({ event }) => event === 'done');
  expect(undisturbed).toMatchObject({
    weightsSha256: runs.find(({ run }) => run === second)?.weightsSha256,
  });

  const listed = async (...more: string[]): Promise<RunSummary[]> => {
    const command = await lockstep(['runs', '--dir', 'sweep', '--json', ...more], { cwd, env });
    expect(command.status, command.stderr).toBe(0);
    return JSON.parse(command.stdout) as RunSummary[];
  };
  const names = async (...more: string[]): Promise<string[]> =>
    (await listed(...more)).map(({ name }) => name);
  expect(await names('--sort', 'optimizer.learningRate')).toEqual(['002', '001']);
  expect(await names('--sort', '-optimizer.learningRate')).toEqual(['001', '002']);
  expect(await names('--filter', 'optimizer.learningRate<0.0005')).toEqual(['002']);
  expect(await names('--best-by', 'loss')).toEqual([runs[0]?.run.slice(-3)]);
  await listed('002', '--tag', 'good', '--tag', 'small-rate', '--note', 'the slow one');
  expect(await listed('--filter', 'tags=good')).toMatchObject([
    { name: '002', tags: ['good', 'small-rate'], note: 'the slow one' },
  ]);
  const table = await lockstep(['runs', '--dir', 'sweep'], { cwd, env });
  expect(table.stdout).toMatch(/good, small-rate +the slow one/);
  await listed('002', '--untag', 'good', '--note', '');
  expect(await names('--filter', 'tags=good')).toEqual([]);
  const wrong = await lockstep(['runs', '--dir', 'sweep', '--filter', 'loss'], { cwd, env });
  expect(wrong.stderr).toMatch(/--filter: expected a condition such as accuracy>0.99.*got "loss"/);
});
