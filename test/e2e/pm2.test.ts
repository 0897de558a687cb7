import { existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import type { RunEvent } from '../../src/shared/run-events.js';
import { backOffMs } from '../../src/cli/back-off.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-port.js';
import { temporaryFolder } from '../support/lockstep.js';
import { Pm2 } from '../support/pm2.js';
import { writeSmallTraining } from '../support/small-training.js';

const ecosystem = fileURLToPath(new URL('../../ecosystem.config.js', import.meta.url));

const started: Pm2[] = [];
afterEach(async () => {
  for (const pm2 of started.splice(0)) await pm2.kill();
});

/** Starts a small training on two workers; `out` is its folder, with a blank in its name. */
async function start(options: string): Promise<{ pm2: Pm2; home: string; out: string }> {
  const folder = await temporaryFolder();
  const { config } = await writeSmallTraining(folder);
  const out = join(folder, 'the run');
  const home = join(folder, 'pm2');
  await mkdir(home);
  const pm2 = new Pm2(home, {
    LOCKSTEP_WORKERS: '2',
    LOCKSTEP_COORDINATOR: `tcp://127.0.0.1:${await freePort()}`,
    LOCKSTEP_ARGS: `--config ${config} --threads 1 --out '${out}' ${options}`,
  });
  started.push(pm2);
  await pm2.command('start', ecosystem);
  return { pm2, home, out };
}

const logged = (out: string, event: string): boolean => {
  const file = join(out, 'events.ndjson');
  return existsSync(file) && readFileSync(file, 'utf8').includes(`{"event":"${event}"`);
};

const eventsOf = (out: string): RunEvent[] =>
  readFileSync(join(out, 'events.ndjson'), 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as RunEvent);

const generations = (out: string) => eventsOf(out).filter((event) => event.event === 'generation');

const steps = (out: string): number[] =>
  eventsOf(out).flatMap((event) => (event.event === 'step' ? [event.step] : []));

const expectedApps = [
  { name: 'lockstep-coordinator', instance: 0 },
  { name: 'lockstep-worker', instance: 0 },
  { name: 'lockstep-worker', instance: 1 },
];

describe('pm2 start ecosystem.config.js', () => {
  it('runs a coordinator and its workers to the end, and restarts none of them', async () => {
    const { pm2, out } = await start('--epochs 2');
    await eventually('the end of the run', 50_000, () => logged(out, 'done'));
    const apps = await eventually('all processes to stop', 20_000, async () => {
      const list = await pm2.list();
      return list.every(({ status }) => status !== 'online') && list;
    });
    expect(apps).toEqual(
      expectedApps.map((app) => ({ ...app, status: 'stopped', exitCode: 0, restarts: 0 })),
    );
    expect(readFileSync(join(out, 'model', 'model.json'), 'utf8')).toContain('layers-model');
  });

  it('stops, starts and scales workers in mid-run without having to kill any', async () => {
    const { pm2, home, out } = await start('--epochs 1000000 --evaluate none --shards 4');
    await eventually('the first step', 50_000, () => logged(out, 'step'));
    await pm2.command('stop', 'lockstep-worker');
    const workers = (await pm2.list()).filter(({ name }) => name === 'lockstep-worker');
    expect(workers.map(({ status }) => status)).toEqual(['stopped', 'stopped']);
    // The last to leave wrote the state down; the coordinator waits for others.
    const log = join(home, 'logs', 'lockstep-coordinator-error.log');
    await eventually('the coordinator to wait for workers', 20_000, () =>
      /was told to stop[^]*Checkpoint of step[^]*Waiting for workers: 0/.test(readFileSync(log, 'utf8')),
    );
    await pm2.command('start', 'lockstep-worker');
    await eventually('the run to go on', 30_000, () => generations(out).at(-1)?.workers.length === 2);
    await pm2.command('scale', 'lockstep-worker', '3');
    await eventually('a third worker', 30_000, () => generations(out).at(-1)?.workers.length === 3);
    await pm2.command('scale', 'lockstep-worker', '2');
    await eventually('two workers', 30_000, () => generations(out).at(-1)?.workers.length === 2);
    expect((await pm2.list()).find(({ name }) => name === 'lockstep-coordinator')?.restarts).toBe(0);
    await pm2.command('stop', 'all');
    const all = await pm2.list();
    expect(all.map(({ status }) => status)).toEqual(['stopped', 'stopped', 'stopped']);
    expect(steps(out)).toEqual(steps(out).map((_, i) => i + 1));
    expect(readFileSync(join(home, 'pm2.log'), 'utf8')).not.toContain('SIGKILL');
  });

  it('goes on after all was stopped, when it is started with --resume auto again', async () => {
    const options = '--epochs 1000000 --evaluate none --checkpoint-every 1epoch --resume auto';
    const { pm2, out } = await start(options);
    await eventually('a checkpoint', 50_000, () => logged(out, 'checkpoint'));
    await pm2.command('stop', 'all');
    const last = steps(out).at(-1)!;
    await pm2.command('start', ecosystem);
    await eventually('the run to go on', 50_000, () => logged(out, 'resumed') && steps(out).at(-1)! > last);
    expect(eventsOf(out).find((event) => event.event === 'resumed')).toMatchObject({ step: last });
    await pm2.command('stop', 'all');
  });
});

it('a process that pm2 starts again waits longer each time, up to a limit', () => {
  expect([0, 1, 2, 3, 50].map(backOffMs)).toEqual([0, 1_000, 1_500, 2_250, 15_000]);
});
