/**
 * A smoke test on other versions of Node: native TensorFlow with Lockstep's ops, WebAssembly, ZeroMQ and pm2. Their executables
 * come from npm, into a cache folder. Without them the tests fail in CI and are skipped elsewhere.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, readlink, realpath } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeAll, describe, expect, it, type TestContext } from 'vitest';
import { nodeOf } from '../../scripts/node-versions.js';
import { cacheRoot, engineHost } from '../../src/worker/engine/cache.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-port.js';
import { lockstep, temporaryFolder, type Ended } from '../support/lockstep.js';
import { Pm2 } from '../support/pm2.js';
import { wasmRun, writeSmallTraining } from '../support/small-training.js';

const ecosystem = join(import.meta.dirname, '..', '..', 'ecosystem.config.js');
const cache = join(cacheRoot(engineHost(process.env, homedir())), 'nodes');

const started: Pm2[] = [];
afterEach(async () => {
  for (const pm2 of started.splice(0)) await pm2.kill();
});

const weightsOf = ({ status, stderr, events }: Ended): string | undefined => {
  expect(status, stderr).toBe(0);
  return events.flatMap((event) => (event.event === 'done' ? [event.weightsSha256] : []))[0];
};

describe.each(['22', '24'])('Node %s', (major) => {
  let found: { readonly node: string } | { readonly reason: string };
  beforeAll(async () => {
    found = await nodeOf(major, cache).then(
      (node) => ({ node }),
      (error: unknown) => ({ reason: (error as Error).message }),
    );
  });

  /** The executable; without one the test fails in CI and is skipped elsewhere. */
  function nodeFor({ skip }: TestContext): string {
    if ('node' in found) return found.node;
    if (process.env['CI']) throw new Error(found.reason);
    return skip(found.reason);
  }

  it('is the requested version', async (context) => {
    const { stdout } = await promisify(execFile)(nodeFor(context), ['--version']);
    expect(stdout).toMatch(new RegExp(`^v${major}\\.`));
  });

  it('trains on native TensorFlow with its own ops, two workers over ZeroMQ', async (context) => {
    const node = nodeFor(context);
    const folder = await temporaryFolder();
    const { config } = await writeSmallTraining(folder);
    const args = ['--shards', '2', '--threads', '1', '--max-steps', '6', '--engine', 'tensorflow', '--json'];
    const train = (out: string, ...more: readonly string[]) =>
      lockstep(['train', '--config', config, '--out', join(folder, out), ...args, ...more], { node });
    const two = await train(
      'two',
      '--workers',
      '2',
      '--shared-memory',
      'off',
      '--checkpoint-every',
      '6steps',
    );
    const manifest = join(folder, 'two', 'checkpoints', 'step-000000006', 'manifest.json');
    expect(weightsOf(two)).toBe(weightsOf(await train('one', '--single-process')));
    const { identity } = JSON.parse(await readFile(manifest, 'utf8')) as { identity: { kernels: string } };
    expect(identity.kernels).toMatch(/^own/);
    const losses = two.events.flatMap((event) => (event.event === 'step' ? [event.loss] : []));
    expect(losses).toHaveLength(6);
    expect(losses.at(-1)).toBeLessThan(losses[0]!);
  });

  it('trains in WebAssembly to the same bits as every other version, two workers over ZeroMQ', async (context) => {
    const node = nodeFor(context);
    const folder = await temporaryFolder();
    const { config } = await writeSmallTraining(folder, { count: wasmRun.count });
    const run = await lockstep(
      [
        'train',
        '--config',
        config,
        '--out',
        join(folder, 'run'),
        '--json',
        '--evaluate',
        'none',
        ...wasmRun.options,
        '--workers',
        '2',
        '--shared-memory',
        'off',
      ],
      { node },
    );
    expect(weightsOf(run)).toBe(wasmRun.weightsSha256);
  });

  it('is started and stopped by pm2', async (context) => {
    const node = nodeFor(context);
    const folder = await temporaryFolder();
    const { config } = await writeSmallTraining(folder);
    const [home, out] = [join(folder, 'pm2'), join(folder, 'run')];
    await mkdir(home);
    const environment = {
      LOCKSTEP_ENGINE: 'wasm',
      LOCKSTEP_WORKERS: '2',
      LOCKSTEP_COORDINATOR: `tcp://127.0.0.1:${await freePort()}`,
      LOCKSTEP_ARGS: `--config ${config} --out '${out}' --threads 1 --epochs 1000000 --evaluate none`,
      // pm2 looks up the interpreter of its apps there.
      PATH: [dirname(node), process.env['PATH']].join(delimiter),
    };
    const pm2 = new Pm2(home, environment, home, node);
    started.push(pm2);
    await pm2.command('start', ecosystem);
    const log = join(out, 'events.ndjson');
    await eventually(
      'the first step',
      async () => existsSync(log) && (await readFile(log, 'utf8')).includes('{"event":"step"'),
    );
    const pids = await pm2.pids();
    expect(pids).toHaveLength(3);
    for (const pid of pids) expect(await readlink(`/proc/${pid}/exe`)).toBe(await realpath(node));
    // pm2 stops two apps at a time. The third one may notice the end of the coordinator first, leave with status 75, and be restarted.
    expect((await pm2.list()).map(({ restarts }) => restarts)).toEqual([0, 0, 0]);
    await pm2.command('stop', 'all');
    expect((await pm2.list()).map(({ status }) => status)).toEqual(['stopped', 'stopped', 'stopped']);
    await pm2.command('delete', 'all');
    expect(await pm2.list()).toEqual([]);
  });
});
