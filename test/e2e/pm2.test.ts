import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../support/lockstep.js';
import { writeSmallTraining } from '../support/small-training.js';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../', import.meta.url));
const pm2Program = join(createRequire(import.meta.url).resolve('pm2/package.json'), '..', 'bin', 'pm2');

interface Listed {
  readonly name: string;
  readonly pm2_env: { readonly status: string; readonly restart_time: number; readonly exit_code?: number };
}

let environment: Record<string, string> | undefined;
async function pm2(...args: string[]): Promise<string> {
  const { stdout } = await run(process.execPath, [pm2Program, ...args], {
    cwd: root,
    env: { ...process.env, ...environment },
    timeout: 60_000,
  });
  return stdout;
}

async function list(): Promise<Listed[]> {
  const text = await pm2('jlist');
  return JSON.parse(text.slice(text.indexOf('['))) as Listed[];
}

/** Asks pm2 again and again, each time a process of its own, until `done`. */
async function until(done: (apps: readonly Listed[]) => boolean, deadlineMs: number): Promise<Listed[]> {
  const startedMs = performance.now();
  for (;;) {
    const apps = await list();
    if (done(apps) || performance.now() - startedMs > deadlineMs) return apps;
  }
}

afterEach(async () => {
  if (environment) await pm2('kill');
  environment = undefined;
});

async function start(extra: string): Promise<string> {
  const folder = await temporaryFolder();
  const { config } = await writeSmallTraining(folder);
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as { port: number };
  await new Promise((closed) => server.close(closed));
  environment = {
    PM2_HOME: join(folder, 'pm2'),
    LOCKSTEP_WORKERS: '2',
    LOCKSTEP_COORDINATOR: `tcp://127.0.0.1:${port}`,
    LOCKSTEP_ARGS: `--config ${config} --threads 1 --out ${join(folder, 'run')} ${extra}`,
  };
  await pm2('start', 'ecosystem.config.js');
  return folder;
}

const stopped = (apps: readonly Listed[]): boolean =>
  apps.every(({ pm2_env }) => pm2_env.status === 'stopped');

describe('pm2 start ecosystem.config.js', () => {
  it('runs a coordinator and its workers to the end, and restarts none of them', async () => {
    const folder = await start('--epochs 2');
    const apps = await until(stopped, 60_000);
    expect(apps.map(({ name }) => name).sort()).toEqual([
      'lockstep-coordinator',
      'lockstep-worker',
      'lockstep-worker',
    ]);
    for (const { name, pm2_env } of apps) {
      expect(pm2_env, name).toMatchObject({ status: 'stopped', exit_code: 0, restart_time: 0 });
    }
    const events = await readFile(join(folder, 'run', 'events.ndjson'), 'utf8');
    expect(events).toContain('"event":"done"');
    expect(await readFile(join(folder, 'run', 'model', 'model.json'), 'utf8')).toContain('layers-model');
  });

  it('stops in mid-run within its kill_timeout', async () => {
    const folder = await start('--epochs 1000000 --evaluate none');
    const log = join(folder, 'run', 'events.ndjson');
    await until((apps) => apps.length === 3, 10_000);
    const startedMs = performance.now();
    while (
      !(await readFile(log, 'utf8').catch(() => '')).includes('"event":"step"') &&
      performance.now() - startedMs < 40_000
    ) {
      await new Promise(setImmediate);
    }
    await pm2('stop', 'all');
    expect(stopped(await list())).toBe(true);
    expect(await readFile(log, 'utf8')).toMatch(/"code":"(INTERRUPTED|PEER_LOST)"/);
  });
});
