import { randomUUID, createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { listeningEndpoints } from '../../scripts/fuzz/listening-endpoints.js';
import { resolveConfig } from '../../src/cli/options/resolve.js';
import { runConfigSchema } from '../../src/shared/config/run-config.js';
import { encodeMessage } from '../../src/shared/protocol/codec.js';
import { protocolVersion } from '../../src/shared/protocol/messages.js';
import type { ControlServer } from '../../src/shared/transport/transport.js';
import { openControlServer } from '../../src/shared/transport/zmq/control-server.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-port.js';
import { Lockstep, descendants, lockstep, temporaryFolder } from '../support/lockstep.js';
import { noOtherUser, otherUid, runAsOther } from '../support/other-user.js';
import { Pm2 } from '../support/pm2.js';
import { writeSmallTraining } from '../support/small-training.js';

const ecosystem = new URL('../../ecosystem.config.js', import.meta.url).pathname;

/** A project that other users can read, with a temporary directory like /tmp. */
async function sharedMachine(): Promise<{ config: string; out: string; env: Record<string, string> }> {
  const folder = await temporaryFolder();
  chmodSync(folder, 0o755);
  const { config } = await writeSmallTraining(folder);
  const temporary = join(folder, 'tmp');
  mkdirSync(temporary);
  chmodSync(temporary, 0o1777);
  // An empty variable counts as none.
  return { config, out: join(folder, 'run'), env: { TMPDIR: temporary, XDG_RUNTIME_DIR: '' } };
}

/** The attempts of another user on a run: to connect to each of its addresses, to read its folder, to stop it. */
const attack = `
const [pids, paths, out] = JSON.parse(process.argv[1]);
const attempt = (name, action) => { try { action(); console.log('possible:', name); } catch (error) { console.log(name, error.code); } };
for (const pid of pids) attempt('stop ' + pid, () => process.kill(pid, 'SIGTERM'));
for (const pid of pids) attempt('memory of ' + pid, () => require('fs').readdirSync('/proc/' + pid + '/fd'));
attempt('read ' + out, () => require('fs').readdirSync(out));
for (const path of paths) {
  attempt('list ' + path, () => require('fs').readdirSync(require('path').dirname(path)));
  require('net').connect(path).once('connect', () => { console.log('possible:', path); process.exit(); }).once('error', (error) => console.log(path, error.code));
}`;

function attackedByOther(pids: readonly number[], out: string): string[] {
  const endpoints = pids.flatMap(listeningEndpoints);
  // Every user of the machine can reach a TCP port on loopback.
  expect(endpoints.filter((endpoint) => !endpoint.startsWith('ipc://'))).toEqual([]);
  const paths = endpoints.map((endpoint) => endpoint.replace('ipc://', ''));
  expect(paths.length).toBeGreaterThanOrEqual(2);
  const report = runAsOther(process.execPath, ['-e', attack, JSON.stringify([pids, paths, out])]);
  const lines = report.trim().split('\n');
  expect(lines).toHaveLength(2 * pids.length + 1 + 2 * paths.length);
  return lines;
}

const refused = /^(stop \d+ EPERM|.* EACCES)$/;
const common = ['--workers', '2', '--threads', '1', '--epochs', '100000', '--evaluate', 'none', '--json'];

describe.skipIf(noOtherUser)('another user of the machine (needs root)', () => {
  it('can neither join, feed, read nor stop a run of lockstep train', async () => {
    const { config, out, env } = await sharedMachine();
    const run = new Lockstep(['train', '--config', config, '--out', out, ...common], { env });
    await run.event('step');
    const pids = [run.pid, ...(await descendants(run.pid))];
    for (const line of attackedByOther(pids, out)) expect(line).toMatch(refused);
    run.kill('SIGINT');
    await run.ended;
  });

  it('can neither join, feed, read nor stop a run whose processes were started one by one', async () => {
    const { config, out, env } = await sharedMachine();
    const run = new Lockstep(['coordinator', '--config', config, '--out', out, ...common], { env });
    const workers = [1, 2].map(() => new Lockstep(['worker', '--device', 'cpu'], { env }));
    await run.event('step');
    const pids = [run.pid, ...workers.map(({ pid }) => pid)];
    for (const line of attackedByOther(pids, out)) expect(line).toMatch(refused);
    run.kill('SIGINT');
    await run.ended;
  });

  it('can neither join, feed, read nor stop a run under pm2', async () => {
    const { config, out, env } = await sharedMachine();
    const home = await temporaryFolder();
    const options = `--config ${config} --out ${out} ${common.slice(2).join(' ')}`;
    const pm2 = new Pm2(home, {
      ...env,
      LOCKSTEP_WORKERS: '2',
      LOCKSTEP_ARGS: options,
      LOCKSTEP_COORDINATOR: '',
    });
    try {
      await pm2.command('start', ecosystem);
      const log = join(out, 'events.ndjson');
      await eventually(
        'the first step',
        () => existsSync(log) && readFileSync(log, 'utf8').includes('{"event":"step"'),
      );
      const lines = attackedByOther(await pm2.pids(), out);
      for (const line of lines) expect(line).toMatch(refused);
    } finally {
      await pm2.kill();
    }
  });

  it('can reach the coordinator on a TCP port that was asked for, and no frame socket of a worker', async () => {
    const { config, out, env } = await sharedMachine();
    const endpoint = `tcp://127.0.0.1:${await freePort()}`;
    const run = new Lockstep(
      ['coordinator', '--listen', endpoint, '--config', config, '--out', out, ...common],
      {
        env,
      },
    );
    const options = ['--coordinator', endpoint, '--config', config, '--device', 'cpu'];
    const workers = [1, 2].map(() => new Lockstep(['worker', ...options], { env }));
    await run.event('step');
    expect(listeningEndpoints(run.pid)).toEqual([endpoint]);
    expect(run.stderr).toMatch(/^Warning: every user of this machine can take part/);
    const pids = workers.map(({ pid }) => pid);
    for (const line of attackedByOther(pids, out)) expect(line).toMatch(refused);
    run.kill('SIGINT');
    await run.ended;
  });

  it('can not prepare the folder in which the processes meet', async () => {
    const { config, out, env } = await sharedMachine();
    const folder = join(env['TMPDIR'] ?? '', 'lockstep-0');
    mkdirSync(folder);
    chownSync(folder, otherUid, otherUid);
    for (const command of [['coordinator', '--config', config, '--out', out], ['worker']]) {
      const { status, stderr } = await lockstep(command, { env });
      expect(stderr).toMatch(
        /Socket folder .*lockstep-0: expected a folder that only this user can enter.*belongs to user 54321/,
      );
      expect(status).toBe(2);
    }
    expect(existsSync(out)).toBe(false);
  });
});

/** A coordinator that names a file, with its right hash, to be executed by the workers that reach it. */
async function rogueCoordinator(endpoint: string, file: string): Promise<ControlServer> {
  const server = await openControlServer(endpoint, 1_000_000);
  const config = resolveConfig(runConfigSchema.parse({ workers: 1, threads: 1 }), { cores: 1, gpus: [] });
  const sha256 = createHash('sha256').update(readFileSync(file)).digest('hex');
  const definition = { path: file, sha256, entry: basename(file), files: {} };
  const welcome = {
    type: 'welcome',
    preprocessing: null,
    protocol: protocolVersion,
    runId: randomUUID(),
    config,
    definition,
  } as const;
  server.listen({
    message: (from) => server.send(from, encodeMessage({ ...welcome, socketDirectory: null })),
    disconnected: () => undefined,
    unreachable: () => undefined,
  });
  return server;
}

describe('a worker without keys', () => {
  let folder = '';
  let file = '';
  let mark = '';
  const servers: ControlServer[] = [];
  beforeEach(async () => {
    folder = await temporaryFolder();
    mark = join(folder, 'mark');
    file = join(folder, 'any-file.js');
    writeFileSync(file, `require('node:fs').writeFileSync(${JSON.stringify(mark)}, '');`);
  });
  afterEach(() => Promise.all(servers.splice(0).map((server) => server.close())));

  it('executes no file that a process at a TCP port names', async () => {
    const server = await rogueCoordinator('tcp://127.0.0.1:*', file);
    servers.push(server);
    const { config } = await writeSmallTraining(folder);
    for (const options of [[], ['--config', config]]) {
      const { status, stderr } = await lockstep(['worker', '--coordinator', server.endpoint, ...options]);
      expect(stderr).toMatch(
        /expected the coordinator's \(SHA-256 .*name that file, or a copy of it, with --config/,
      );
      expect(status).toBe(2);
    }
    expect(existsSync(mark)).toBe(false);
  });

  it('executes no file that others can write, even if its own user named it', async () => {
    const server = await rogueCoordinator(`ipc://${join(folder, 'socket')}`, file);
    servers.push(server);
    chmodSync(file, 0o666);
    for (const options of [[], ['--config', file]]) {
      const { status, stderr } = await lockstep(['worker', '--coordinator', server.endpoint, ...options]);
      expect(stderr).toMatch(
        /expected files that only this user or root can change, got others: everyone can write/,
      );
      expect(status).toBe(2);
    }
    expect(existsSync(mark)).toBe(false);
    // The mark works: a file that only this user can write is executed.
    chmodSync(file, 0o600);
    await lockstep(['worker', '--coordinator', server.endpoint]);
    expect(existsSync(mark)).toBe(true);
  });

  it('connects to no socket that others can replace or reach', async () => {
    const open = join(folder, 'open');
    mkdirSync(open);
    chmodSync(open, 0o755);
    const link = join(folder, 'link');
    symlinkSync(tmpdir(), link);
    for (const endpoint of [`ipc://${open}/x`, `ipc://${tmpdir()}/x`, `ipc://${link}/x`, 'ipc://@lockstep']) {
      for (const command of [
        ['worker', '--coordinator'],
        ['coordinator', '--listen'],
      ]) {
        const { status, stderr } = await lockstep([...command, endpoint], { cwd: folder });
        expect(stderr).toMatch(
          /expected (a socket in a folder that only this user can enter, or )?CURVE keys, got n/,
        );
        expect(status).toBe(2);
      }
    }
  });
});

it('a second coordinator at the socket of the first one is refused, and the next one after a kill is not', async () => {
  const { config, out, env } = await sharedMachine();
  const first = new Lockstep(['coordinator', '--config', config, '--out', out, ...common], { env });
  await first.event('run');
  const second = await lockstep(['coordinator', '--config', config, '--out', `${out}2`, ...common], { env });
  expect(second.stderr).toMatch(/Can't listen on ipc:.*coordinator: another process uses it/);
  expect(second.status).toBe(2);
  first.kill('SIGKILL');
  await first.ended;
  const next = new Lockstep(['coordinator', '--config', config, '--out', `${out}3`, ...common], { env });
  await next.event('run');
  next.kill('SIGINT');
  expect((await next.ended).status).toBe(130);
});
