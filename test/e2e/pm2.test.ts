import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { backOffMs } from '../../src/cli/back-off.js';
import { freePort } from '../support/free-port.js';
import { Pm2 } from '../support/pm2.js';
import { eventually } from '../support/processes.js';
import { repository } from '../support/run-lockstep.js';
import { tempDir } from '../support/temp-dir.js';

const ecosystem = join(repository, 'ecosystem.config.js');

const started: Pm2[] = [];
afterEach(async () => {
  for (const pm2 of started.splice(0)) await pm2.kill();
}, 60_000);

/** Starts a run of so many steps on two workers; `out` is its folder, with a blank in its name. */
async function start(steps: number): Promise<{ pm2: Pm2; out: string }> {
  const home = tempDir();
  const out = join(home, 'the run');
  const pm2 = new Pm2(home, {
    LOCKSTEP_WORKERS: '2',
    LOCKSTEP_COORDINATOR: `tcp://127.0.0.1:${await freePort()}`,
    LOCKSTEP_ARGS: `--max-steps ${steps} --evaluate none --out '${out}'`,
    LOCKSTEP_THREADS: '1',
  });
  started.push(pm2);
  await pm2.command('start', ecosystem);
  return { pm2, out };
}

const logged = (out: string, event: string): boolean => {
  const file = join(out, 'events.ndjson');
  return existsSync(file) && readFileSync(file, 'utf8').includes(`{"event":"${event}"`);
};

const expectedApps = [
  { name: 'lockstep-coordinator', instance: 0 },
  { name: 'lockstep-worker', instance: 0 },
  { name: 'lockstep-worker', instance: 1 },
];

it('finishes a run under pm2, which then restarts nothing', async () => {
  const { pm2, out } = await start(20);
  await eventually('the end of the run', 60_000, () => logged(out, 'done'));
  const apps = await eventually('all processes to stop', 30_000, async () => {
    const list = await pm2.list();
    return list.every(({ status }) => status !== 'online') && list;
  });
  expect(apps).toEqual(expectedApps.map((app) => ({ ...app, status: 'stopped', exitCode: 0, restarts: 0 })));
  expect(existsSync(join(out, 'model', 'model.json'))).toBe(true);
}, 120_000);

it('stops in the middle of a run without being killed, and starts again what crashed', async () => {
  const { pm2, out } = await start(100_000);
  await eventually('the first step', 60_000, () => logged(out, 'step'));

  await pm2.command('stop', 'lockstep-worker');
  const workers = (await pm2.list()).filter(({ name }) => name === 'lockstep-worker');
  // Status 1 is of their own accord: pm2 notes 0 for a process that it had to kill.
  expect(workers.map(({ status, exitCode }) => ({ status, exitCode }))).toEqual([
    { status: 'stopped', exitCode: 1 },
    { status: 'stopped', exitCode: 1 },
  ]);
  // Its workers are gone, which for the coordinator is a failure like any other.
  await eventually('the coordinator to start again', 30_000, async () =>
    (await pm2.list()).some(({ restarts, status }) => restarts === 1 && status === 'online'),
  );

  await pm2.command('stop', 'all');
  expect((await pm2.list()).map(({ name, instance, status }) => ({ name, instance, status }))).toEqual(
    expectedApps.map((app) => ({ ...app, status: 'stopped' })),
  );
}, 120_000);

it('waits longer after each crash, up to a limit', () => {
  expect([0, 1, 2, 3, 50].map(backOffMs)).toEqual([0, 1_000, 1_500, 2_250, 15_000]);
});
