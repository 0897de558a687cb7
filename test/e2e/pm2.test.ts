import { existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
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

  it('stops processes in mid-run without having to kill them, and starts again what crashed', async () => {
    const { pm2, home, out } = await start('--epochs 1000000 --evaluate none');
    await eventually('the first step', 50_000, () => logged(out, 'step'));
    await pm2.command('stop', 'lockstep-worker');
    const workers = (await pm2.list()).filter(({ name }) => name === 'lockstep-worker');
    expect(workers.map(({ status }) => status)).toEqual(['stopped', 'stopped']);
    // That its workers are gone is a failure to the coordinator, and no end: pm2 starts it again.
    const log = join(home, 'logs', 'lockstep-coordinator-error.log');
    await eventually('the coordinator to name who left', 20_000, () =>
      /PEER_LOST.*was told to stop/.test(readFileSync(log, 'utf8')),
    );
    await eventually('the coordinator to start again', 20_000, async () =>
      (await pm2.list()).some(({ restarts, status }) => restarts === 1 && status === 'online'),
    );
    await pm2.command('stop', 'all');
    const all = await pm2.list();
    expect(all.map(({ name, instance, status }) => ({ name, instance, status }))).toEqual(
      expectedApps.map((app) => ({ ...app, status: 'stopped' })),
    );
    expect(readFileSync(join(home, 'pm2.log'), 'utf8')).not.toContain('SIGKILL');
  });
});

it('a process that pm2 starts again waits longer each time, up to a limit', () => {
  expect([0, 1, 2, 3, 50].map(backOffMs)).toEqual([0, 1_000, 1_500, 2_250, 15_000]);
});
