/** TensorFlow's CUDA build without a GPU: its installation, its libraries, its driver, and the GPU of each worker. */
import { existsSync, readFileSync } from 'node:fs';
import { chmod, cp, mkdir, mkdtemp, readdir, rm, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { providePypi } from '../../src/worker/engine/install/libraries.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-port.js';
import { lockstep, temporaryFolder } from '../support/lockstep.js';
import { Pm2 } from '../support/pm2.js';
import { writeSmallTraining } from '../support/small-training.js';
import {
  compileOtherLibrary,
  cudaPackages,
  missingForStandin,
  standinDriver,
  standinNvidiaSmi,
  writeCudaWheels,
} from '../support/standin-cuda.js';

const skip = missingForStandin();
const libraries = cudaPackages.flatMap(([, folder, names]) => names.map((name) => [name, folder] as const));
const ecosystem = fileURLToPath(new URL('../../ecosystem.config.js', import.meta.url));

interface Status {
  readonly device: string;
  readonly problem?: string;
  readonly directory: string;
  readonly gpus: readonly number[];
}

describe.skipIf(skip !== undefined)(`TensorFlow with CUDA${skip === undefined ? '' : ` (${skip})`}`, () => {
  let folder: string;
  let wheels: string;
  /** Variables of a machine with two GPUs. */
  let machine: Record<string, string>;
  let installed: { status: number | null; stderr: string };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lockstep-cuda-'));
    wheels = join(folder, 'wheels');
    await writeCudaWheels(wheels);
    // The ops of the engine are not used, so they need not be fast.
    const compiler = join(folder, 'compiler');
    await writeFile(compiler, '#!/bin/sh\nexec g++ "$@" -O0\n');
    await chmod(compiler, 0o755);
    machine = {
      ...(await standinDriver(folder, { gpus: [0, 1] })),
      XDG_CACHE_HOME: join(folder, 'cache'),
      CXX: compiler,
      LOCKSTEP_ENGINE: 'tensorflow',
    };
    installed = await lockstep(['engine', 'install', '--cuda', '--from', wheels], { env: machine });
  }, 600_000);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const without = (...names: readonly string[]): Record<string, string> =>
    Object.fromEntries(Object.entries(machine).filter(([name]) => !names.includes(name)));

  const statusOf = async (env: Record<string, string>): Promise<Status> =>
    JSON.parse((await lockstep(['engine', 'status', '--json'], { env })).stdout) as Status;

  /** Runs a small training; returns its trace, and what the stand-ins of its processes wrote. */
  async function train(args: readonly string[], env: Record<string, string> = machine) {
    const { config } = await writeSmallTraining(await temporaryFolder(), { count: 24 });
    const log = join(await temporaryFolder(), 'log');
    const common = [
      '--config',
      config,
      '--batch-size',
      '12',
      '--shards',
      '2',
      '--max-steps',
      '4',
      '--threads',
      '1',
    ];
    const { status, events, stderr } = await lockstep(
      [
        'train',
        ...common,
        '--seed',
        '5',
        '--evaluate',
        'none',
        ...args,
        '--out',
        await temporaryFolder(),
        '--fresh',
        '--json',
      ],
      { env: { ...env, CUDA_STANDIN_LOG: log } },
    );
    const lines = existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : [];
    return {
      status,
      stderr,
      error: events.flatMap((event) => (event.event === 'error' ? [event.message] : [])).join(),
      warnings: events.flatMap((event) => (event.event === 'warning' ? [event.message] : [])).join(),
      losses: events.flatMap((event) => (event.event === 'step' ? [event.loss] : [])),
      weights: events.flatMap((event) => (event.event === 'done' ? [event.weightsSha256] : []))[0],
      devices: events.flatMap((event) =>
        event.event === 'worker' && event.state === 'joined' ? [event.device] : [],
      ),
      visible: lines.flatMap((line) => /CUDA_VISIBLE_DEVICES (\S+)/.exec(line)?.[1] ?? []).sort(),
      opened: lines.flatMap((line) => /^\d+ (lib\S+) (\S+)/.exec(line)?.slice(1) ?? []),
    };
  }

  it('is installed from a folder of wheels, and finds the driver and the libraries of its own folder', async () => {
    expect(installed).toMatchObject({ status: 0 });
    expect(installed.stderr).not.toMatch(/Warning/);
    const log = join(folder, 'status-log');
    const status = await statusOf({ ...machine, CUDA_STANDIN_LOG: log });
    expect(status).toMatchObject({ device: 'GPU', gpus: [0, 1] });
    expect(status.problem).toBeUndefined();
    expect(status.directory).toMatch(/-cuda-napi8$/);
    const opened = readFileSync(log, 'utf8').trim().split('\n').slice(-libraries.length);
    expect(opened.map((line) => line.split(' ')[1])).toEqual(libraries.map(([name]) => name));
    for (const [at, [name, nvidia]] of libraries.entries())
      expect(opened[at]).toContain(`${status.directory}/tensorflow/../nvidia/${nvidia}/lib/${name}`);
  });

  it('downloads the CUDA libraries that the wheel of TensorFlow requires', async () => {
    const variables = { PIP_CONFIG_FILE: '/dev/null', PIP_NO_INDEX: '1', PIP_FIND_LINKS: wheels };
    for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value);
    try {
      const [target, lines] = [await temporaryFolder(), [] as string[]];
      const log = (line: string): void => void lines.push(line);
      const provided = await providePypi(target, { variant: 'cuda', unpinned: true, log });
      expect(lines).toEqual([
        'Engine: downloading tensorflow==2.21.0 with pip (hundreds of MB, or from its cache) ...',
        'Engine: checking and unpacking the wheels (about ten seconds) ...',
        'Engine: downloading 6 CUDA libraries with pip (several GB, minutes) ...',
        'Engine: checking and unpacking the wheels (about ten seconds) ...',
      ]);
      expect(provided.wheels.map(({ name }) => name.split('-')[0]).sort()).toEqual(
        ['tensorflow', ...cudaPackages.map(([name]) => name)].sort(),
      );
      for (const [name, nvidia] of libraries)
        expect(existsSync(join(target, 'nvidia', nvidia, 'lib', name)), name).toBe(true);
      expect((await readdir(target)).sort()).toEqual(['nvidia', 'tensorflow']);
    } finally {
      vi.unstubAllEnvs();
    }
  });

  it('is not installed from wheels that lack a CUDA library, whose name is in the error', async () => {
    const incomplete = join(folder, 'incomplete');
    await cp(wheels, incomplete, { recursive: true });
    const [cudnn = ''] = (await readdir(incomplete)).filter((name) => name.includes('cudnn'));
    await unlink(join(incomplete, cudnn));
    const env = { ...machine, XDG_CACHE_HOME: join(folder, 'cache-of-none') };
    const { status, stderr } = await lockstep(['engine', 'install', '--cuda', '--from', incomplete], { env });
    expect(status).toBe(2);
    expect(stderr).toMatch(
      /expected the wheels of the CUDA libraries as well, got none with libcudnn\. .*tensorflow\[and-cuda\]==2\.21\.0/,
    );
  });

  it('names a missing driver, and a training on a GPU does not start without it', async () => {
    const bare = without('LD_LIBRARY_PATH', 'PATH');
    const status = await statusOf(bare);
    expect(status.device).toMatch(/^CPU/);
    expect(status.problem).toMatch(
      /No GPU is used\. The NVIDIA driver does not answer \(nvidia-smi: not found\)\. Install NVIDIA's driver/,
    );
    // The program is there, and the driver's library is not, as in a container that was given one of them.
    const half = { ...bare, ...(await standinNvidiaSmi(folder, [0], '550.54.15')) };
    const { status: ended, error } = await train(['--devices', '0'], half);
    expect(ended).toBe(2);
    expect(error).toMatch(
      /TensorFlow: expected GPU 0, got the CPU\. The driver and the CUDA libraries are there.*--devices cpu/,
    );
    // Without GPUs, or with the CPU chosen, the same engine computes on the CPU.
    expect((await train(['--workers', '1'], bare)).devices).toEqual([expect.stringMatching(/^CPU/)]);
    const chosen = await train(['--workers', '1', '--devices', 'cpu']);
    expect([chosen.visible, chosen.devices]).toEqual([['-1'], [expect.stringMatching(/^CPU/)]]);
  });

  it('names a driver that is too old, with the oldest version that can be used', async () => {
    const bare = without('LD_LIBRARY_PATH');
    const old = { ...bare, ...(await standinNvidiaSmi(folder, [0], '470.57.02')) };
    const expected =
      /The NVIDIA driver 470\.57\.02 is too old: CUDA 12 needs 525\.60\.13 or newer\. Update the driver\./;
    expect((await statusOf(old)).problem).toMatch(expected);
    expect((await train(['--devices', '0'], old)).error).toMatch(expected);
  });

  it('does not compute with CUDA libraries of another folder', async () => {
    const other = join(folder, 'other');
    await compileOtherLibrary(other, 'libcublas.so.12');
    const env = { ...machine, LD_LIBRARY_PATH: `${other}:${machine['LD_LIBRARY_PATH'] ?? ''}` };
    const { status, error } = await train(['--workers', '1', '--devices', '0'], env);
    expect(status).toBe(2);
    expect(error).toContain(
      `got ${other}/libcublas.so.12, which can compute other bits. Remove its folder from LD_LIBRARY_PATH.`,
    );
  });

  it('gives each worker a GPU of its own in the order of --devices, and one and two workers have the same bits', async () => {
    const two = await train(['--devices', '1,0', '--workers', '2']);
    expect(two).toMatchObject({ status: 0, visible: ['0', '1'] });
    expect(two.devices).toEqual(['GPU GPU 0 of those visible', 'GPU GPU 0 of those visible']);
    const one = await train(['--devices', '1', '--workers', '1']);
    expect(one).toMatchObject({ status: 0, visible: ['1'], losses: two.losses, weights: two.weights });
    expect(one.losses).toHaveLength(4);
    // Without --devices, every GPU has a worker.
    expect((await train([])).visible).toEqual(['0', '1']);
    const absent = await train(['--devices', '2']);
    expect([absent.status, absent.visible]).toEqual([2, []]);
    expect(`${absent.error}${absent.stderr}`).toMatch(/GPU 2 is not present; this machine has 0, 1/);
  });

  it('computes the losses of the own kernels on the CPU, to rounding errors', async () => {
    const own = without('CXX', 'XDG_CACHE_HOME');
    const [gpu, cpu] = [
      await train(['--devices', '0', '--workers', '1']),
      await train(['--devices', 'cpu', '--workers', '1'], own),
    ];
    expect(cpu.devices).toEqual([expect.stringMatching(/^CPU/)]);
    expect(gpu.losses).toHaveLength(4);
    for (const [at, loss] of gpu.losses.entries())
      expect(Math.abs(loss - (cpu.losses[at] ?? 0)) / loss).toBeLessThan(1e-4);
    expect(gpu.weights).not.toBe(cpu.weights);
  });

  it('gives each worker of pm2 a GPU of its own', async () => {
    const place = await temporaryFolder();
    const { config } = await writeSmallTraining(place, { count: 24 });
    const [home, log] = [join(place, 'pm2'), join(place, 'log')];
    await mkdir(home);
    const pm2 = new Pm2(home, {
      ...machine,
      CUDA_STANDIN_LOG: log,
      LOCKSTEP_COORDINATOR: `tcp://127.0.0.1:${await freePort()}`,
      LOCKSTEP_ARGS: `--config ${config} --batch-size 12 --shards 2 --max-steps 4 --threads 1 --evaluate none --out ${join(place, 'run')}`,
    });
    try {
      await pm2.command('start', ecosystem);
      const events = join(place, 'run', 'events.ndjson');
      await eventually(
        'the end of the run',
        () => existsSync(events) && readFileSync(events, 'utf8').includes('{"event":"done"'),
      );
      const visible = [...readFileSync(log, 'utf8').matchAll(/CUDA_VISIBLE_DEVICES (\S+)/g)].map(
        ([, gpu]) => gpu,
      );
      expect(visible.sort()).toEqual(['0', '1']);
    } finally {
      await pm2.kill();
    }
  });
});
