import { existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import type { RunEvent } from '../../src/shared/runs/run-events.js';
import { backOffMs } from '../../src/launcher/back-off.js';
import { shellBlocks } from '../support/docs-commands.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-port.js';
import { temporaryFolder } from '../support/lockstep.js';
import { Pm2 } from '../support/pm2.js';
import { writeSmallTraining } from '../support/small-training.js';

const ecosystem = fileURLToPath(new URL('../../ecosystem.config.js', import.meta.url));

/** Path of the file in a project that has installed the package. */
const inPackage = 'node_modules/lockstep/ecosystem.config.js';

/** The lines of docs/pm2.md that go through a run's life: those of its second block. */
const documented = shellBlocks('docs/pm2.md')[1]!
  .trim()
  .split('\n')
  .map((line) => {
    const [, variables = '', rest = ''] = /^((?:[A-Z_]+=(?:'[^']*'|\S+) )*)npx pm2 ([^#]*)/.exec(line) ?? [];
    const environment = Object.fromEntries(
      [...variables.matchAll(/([A-Z_]+)=(?:'([^']*)'|(\S+))/g)].map(
        ([, name = '', quoted, plain = '']) => [name, quoted ?? plain] as const,
      ),
    );
    return { environment, words: rest.trim().split(' ') };
  });

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
    await eventually('the end of the run', () => logged(out, 'done'));
    const apps = await eventually('all processes to stop', async () => {
      const list = await pm2.list();
      return list.every(({ status }) => status !== 'online') && list;
    });
    expect(apps).toEqual(
      expectedApps.map((app) => ({ ...app, status: 'stopped', exitCode: 0, restarts: 0 })),
    );
    expect(readFileSync(join(out, 'model', 'model.json'), 'utf8')).toContain('layers-model');
  });

  it('is listed, scaled, stopped, started and deleted by the commands of docs/pm2.md in order, and no process is killed', async () => {
    const folder = await temporaryFolder();
    await writeSmallTraining(folder, { extra: 'epochs: 1_000_000, threads: 1, evaluate: "none",' });
    const [home, out] = [join(folder, 'pm2'), join(folder, 'runs', 'long')];
    await mkdir(home);
    const pm2 = new Pm2(home, { LOCKSTEP_COORDINATOR: `tcp://127.0.0.1:${await freePort()}` }, folder);
    started.push(pm2);
    const taken = async (workers: number): Promise<void> => {
      await eventually(`${workers} workers`, () => generations(out).at(-1)?.workers.length === workers);
    };
    const stopped = async (name: string): Promise<void> => {
      const apps = (await pm2.list()).filter((app) => name === 'all' || app.name === name);
      expect(apps.length).toBeGreaterThan(1);
      expect(apps.map(({ status }) => status)).toEqual(apps.map(() => 'stopped'));
    };
    const then: Readonly<Record<string, (printed: string) => unknown>> = {
      [`start ${inPackage}`]: () => eventually('the first step', () => logged(out, 'step')),
      list: (printed) =>
        expect(
          printed.match(/lockstep-(coordinator|worker) .*online/g)?.map((row) => row.split(' ')[0]),
        ).toEqual(expectedApps.map(({ name }) => name)),
      'logs lockstep-coordinator': (printed) => expect(printed).toMatch(/rank \d \(pid \d+/),
      'scale lockstep-worker 3': () => taken(3),
      'scale lockstep-worker 2': () => taken(2),
      'stop lockstep-worker': async () => {
        await stopped('lockstep-worker');
        // The last to leave wrote the state down; the coordinator waits for others.
        const log = join(home, 'logs', 'lockstep-coordinator-error.log');
        await eventually('the coordinator to wait for workers', () =>
          /was told to stop[^]*Checkpoint of step[^]*Waiting for workers: 0/.test(readFileSync(log, 'utf8')),
        );
      },
      'start lockstep-worker': () => taken(2),
      'stop all': async () => {
        expect((await pm2.list()).find(({ name }) => name === 'lockstep-coordinator')?.restarts).toBe(0);
        await stopped('all');
        expect(steps(out)).toEqual(steps(out).map((_, i) => i + 1));
      },
      'delete all': async () => expect(await pm2.list()).toEqual([]),
    };
    expect(documented.map(({ words }) => words.join(' '))).toEqual(Object.keys(then));
    for (const { words, environment } of documented) {
      // `pm2 logs` runs until it is interrupted. By default, it first prints the last 15 lines; every epoch adds one.
      const more = words[0] === 'logs' ? ['--nostream', '--lines', '5000'] : [];
      const args = words.map((word) => (word === inPackage ? ecosystem : word));
      await then[words.join(' ')]?.(await pm2.withEnvironment(environment).command(...args, ...more));
    }
    expect(readFileSync(join(home, 'pm2.log'), 'utf8')).not.toContain('SIGKILL');
  });

  it('continues with the same --out after all processes were stopped', async () => {
    const options = '--epochs 1000000 --evaluate none --checkpoint-every 1epoch';
    const { pm2, out } = await start(options);
    await eventually('a checkpoint', () => logged(out, 'checkpoint'));
    await pm2.command('stop', 'all');
    const last = steps(out).at(-1)!;
    await pm2.command('start', ecosystem);
    await eventually('the run to go on', () => logged(out, 'resumed') && steps(out).at(-1)! > last);
    expect(eventsOf(out).find((event) => event.event === 'resumed')).toMatchObject({ step: last });
    await pm2.command('stop', 'all');
  });
});

it('restarts a process after a longer delay each time, up to a limit', () => {
  expect([0, 1, 2, 3, 50].map(backOffMs)).toEqual([0, 1_000, 1_500, 2_250, 15_000]);
});
