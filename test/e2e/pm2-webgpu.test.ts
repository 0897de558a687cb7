import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { RunEvent } from '../../src/shared/runs/run-events.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-port.js';
import { lockstep, Lockstep, temporaryFolder } from '../support/lockstep.js';
import { writeProject } from '../support/paced-project.js';
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

  /** Starts the ecosystem with as many workers as there are entries, unless `variables` contain another number. */
  async function start(
    config: string,
    adapters: readonly string[],
    options: readonly string[],
    variables: Record<string, string> = {},
  ) {
    const folder = dirname(config);
    const [home, out] = [join(folder, 'pm2'), join(folder, 'run')];
    await mkdir(home);
    const pm2 = new Pm2(home, {
      LOCKSTEP_WEBGPU_ADAPTERS: adapters.join(';'),
      LOCKSTEP_COORDINATOR: `tcp://127.0.0.1:${await freePort()}`,
      LOCKSTEP_ARGS: `--config ${config} --out ${out} ${options.join(' ')}`,
      ...variables,
    });
    started.push(pm2);
    await pm2.command('start', ecosystem);
    const events = (): RunEvent[] => {
      const file = join(out, 'events.ndjson');
      const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : [];
      return lines.map((line) => JSON.parse(line) as RunEvent);
    };
    return { pm2, home, events };
  }

  it('train under pm2 to the weights of a single process', async () => {
    const { config } = await writeSmallTraining(await temporaryFolder(), { count: 24 });
    const options = ['--shards', '4', '--batch-size', '8', '--max-steps', '4', '--evaluate', 'none'];
    const { pm2, events } = await start(config, [entry, entry], options);
    const done = await eventually('the end of the run', () => events().find(({ event }) => event === 'done'));
    const joined = events().filter((event) => event.event === 'worker' && event.state === 'joined');
    expect(joined.map((event) => event.event === 'worker' && event.rank)).toEqual([0, 1]);
    await eventually('all processes to stop', async () =>
      (await pm2.list()).every(({ status, exitCode }) => status === 'stopped' && exitCode === 0),
    );
    const alone = await traceOf(['--config', config, ...options, '--single-process']);
    expect(done).toMatchObject({ weightsSha256: alone.weightsSha256 });
  }, 600_000);

  it('join and leave by `pm2 scale`; a worker without an entry ends with an error, and the others continue with the same bits', async () => {
    const folder = await temporaryFolder();
    await writeProject(folder);
    const config = join(folder, 'lockstep.config.js');
    const options = ['--engine', 'webgpu', '--shards', '4'];
    // The pause keeps the run short, which is repeated below, while processes start. It changes no result.
    const variables = { LOCKSTEP_WORKERS: '1', PACE: '200' };
    const { pm2, home, events } = await start(
      config,
      [entry, entry],
      ['--max-steps', '1000000', ...options],
      variables,
    );
    const lastStep = (): number => events().findLast((event) => event.event === 'step')?.step ?? 0;
    const workers = (): number =>
      events().findLast((event) => event.event === 'generation')?.workers.length ?? 0;
    const has = (count: number) => eventually(`${count} workers`, () => workers() === count);
    const continues = async (): Promise<void> => {
      const step = lastStep();
      await eventually('more steps', () => lastStep() > step + 2);
    };
    await eventually('the first step', () => lastStep() > 0);
    await pm2.command('scale', 'lockstep-worker', '2');
    await has(2);
    await continues();
    await pm2.command('scale', 'lockstep-worker', '3');
    const ended = await eventually('the third worker to end', async () =>
      (await pm2.list()).find(({ instance, status }) => instance === 2 && status === 'stopped'),
    );
    expect(ended).toMatchObject({ name: 'lockstep-worker', exitCode: 2, restarts: 0 });
    const logs = readdirSync(join(home, 'logs')).map((name) =>
      readFileSync(join(home, 'logs', name), 'utf8'),
    );
    expect(logs.join('\n')).toMatch(
      /LOCKSTEP_WEBGPU_ADAPTERS: expected an entry for each worker.*got 2 and the worker 3/,
    );
    await continues();
    expect(workers()).toBe(2);
    // pm2 removes the oldest process, which is the first worker, and keeps the one that has ended.
    await pm2.command('scale', 'lockstep-worker', '2');
    await has(1);
    await continues();
    const others = (await pm2.list()).filter(({ status }) => status === 'online');
    expect(others.map(({ name, instance, restarts }) => ({ name, instance, restarts }))).toEqual([
      { name: 'lockstep-coordinator', instance: 0, restarts: 0 },
      { name: 'lockstep-worker', instance: 1, restarts: 0 },
    ]);
    await pm2.command('stop', 'all');
    const losses = events().flatMap((event) => (event.event === 'step' ? [event.loss] : []));
    const length = ['--max-steps', String(lastStep())];
    const alone = await traceOf(['--config', config, ...options, ...length, '--single-process']);
    expect(losses).toEqual(alone.losses);
  }, 600_000);

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
