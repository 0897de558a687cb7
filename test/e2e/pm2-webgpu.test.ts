import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { RunEvent } from '../../src/shared/runs/run-events.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-port.js';
import { lockstep, Lockstep, temporaryFolder } from '../support/lockstep.js';
import { Pm2 } from '../support/pm2.js';
import { writeSmallTraining } from '../support/small-training.js';
import { gpuTitle, missingGpu, softwareGpuEnvironment } from '../support/software-gpu.js';
import { traceOf } from '../support/trace-of.js';

const ecosystem = fileURLToPath(new URL('../../ecosystem.config.js', import.meta.url));
const started: Pm2[] = [];

describe.skipIf(missingGpu !== undefined)(gpuTitle('workers with an adapter of their own'), () => {
  const entry = `VK_DRIVER_FILES=${softwareGpuEnvironment['VK_DRIVER_FILES'] ?? ''}`;

  beforeAll(() => {
    for (const [name, value] of Object.entries(softwareGpuEnvironment)) vi.stubEnv(name, value);
    vi.stubEnv('LOCKSTEP_ENGINE', 'webgpu');
  });
  afterEach(async () => {
    for (const pm2 of started.splice(0)) await pm2.kill();
  });
  afterAll(() => {
    vi.unstubAllEnvs();
  });

  /** Starts the ecosystem with as many workers as there are entries, unless `variables` say otherwise. */
  async function start(adapters: readonly string[], options: string, variables: Record<string, string> = {}) {
    const folder = await temporaryFolder();
    const { config } = await writeSmallTraining(folder, { count: 24 });
    const [home, out] = [join(folder, 'pm2'), join(folder, 'run')];
    await mkdir(home);
    const pm2 = new Pm2(home, {
      LOCKSTEP_WEBGPU_ADAPTERS: adapters.join(';'),
      LOCKSTEP_COORDINATOR: `tcp://127.0.0.1:${await freePort()}`,
      LOCKSTEP_ARGS: `--config ${config} --out ${out} ${options}`,
      ...variables,
    });
    started.push(pm2);
    await pm2.command('start', ecosystem);
    const events = (): RunEvent[] => {
      const file = join(out, 'events.ndjson');
      const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : [];
      return lines.map((line) => JSON.parse(line) as RunEvent);
    };
    return { pm2, config, home, events };
  }

  it('train under pm2 to the weights of a single process', async () => {
    const options = '--shards 4 --batch-size 8 --max-steps 4 --evaluate none';
    const { pm2, config, events } = await start([entry, entry], options);
    const done = await eventually('the end of the run', () => events().find(({ event }) => event === 'done'));
    const joined = events().filter((event) => event.event === 'worker' && event.state === 'joined');
    expect(joined.map((event) => event.event === 'worker' && event.rank)).toEqual([0, 1]);
    await eventually('all processes to stop', async () =>
      (await pm2.list()).every(({ status, exitCode }) => status === 'stopped' && exitCode === 0),
    );
    const alone = await traceOf(['--config', config, ...options.split(' '), '--single-process']);
    expect(done).toMatchObject({ weightsSha256: alone.weightsSha256 });
  }, 600_000);

  it('under pm2, a worker without an entry ends with an error that names the variable, and is not restarted', async () => {
    const { pm2, home } = await start([entry], '--epochs 1', { LOCKSTEP_WORKERS: '2' });
    const ended = await eventually('the second worker to end', async () =>
      (await pm2.list()).find(({ instance, status }) => instance === 1 && status === 'stopped'),
    );
    expect(ended).toMatchObject({ name: 'lockstep-worker', exitCode: 2, restarts: 0 });
    const logs = readdirSync(join(home, 'logs')).map((name) =>
      readFileSync(join(home, 'logs', name), 'utf8'),
    );
    expect(logs.join('\n')).toMatch(
      /LOCKSTEP_WEBGPU_ADAPTERS: expected an entry for each worker.*got 1 and the worker 2/,
    );
  }, 300_000);

  it('started by hand, have numbers of their own', async () => {
    const folder = await temporaryFolder();
    const { config } = await writeSmallTraining(folder, { count: 24 });
    const listen = `tcp://127.0.0.1:${await freePort()}`;
    const coordinator = new Lockstep(
      ['coordinator', '--listen', listen, '--config', config, '--out', join(folder, 'run'), '--workers', '2'],
      { env: { XDG_RUNTIME_DIR: folder } },
    );
    const worker = ['worker', '--coordinator', listen, '--config', config];
    const env = { XDG_RUNTIME_DIR: folder, LOCKSTEP_WEBGPU_ADAPTERS: entry };
    const first = new Lockstep(worker, { env });
    const second = lockstep(worker, { env });
    const ended = await Promise.race([first.ended, second]);
    expect(ended.status, ended.stderr).toBe(2);
    expect(ended.stderr).toMatch(/got 1 and the worker 2/);
    coordinator.kill('SIGINT');
  }, 300_000);
});
