import { spawnSync } from 'node:child_process';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { defaultPort } from '../../src/shared/network/address.js';
import type { RunEvent } from '../../src/shared/runs/run-events.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-port.js';
import { Lockstep, lockstep, temporaryFolder } from '../support/lockstep.js';
import { writeSmallTraining } from '../support/small-training.js';

const weightsOf = (events: readonly RunEvent[]): string | undefined =>
  events.find((event) => event.event === 'done')?.weightsSha256;

/** Arguments of a command, written as words. */
const words = (...lines: string[]): string[] => lines.flatMap((line) => line.split(' '));

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, () => server.close(() => resolve(true)));
  });

/** The first of `count` free ports in a row. */
async function freePorts(count: number): Promise<number> {
  return eventually('free ports', async () => {
    const base = await freePort();
    for (let i = 0; i < count; i++) if (!(await isFree(base + i))) return undefined;
    return base;
  });
}

async function makeKeys(folder: string): Promise<string> {
  const keys = join(folder, 'keys');
  const { status, stderr } = await lockstep(['keygen', '--out', keys]);
  expect(status, stderr).toBe(0);
  return keys;
}

/** Ports at which the process listens, from /proc. */
async function listeningPorts(): Promise<Set<number>> {
  const tables = await Promise.all(['tcp', 'tcp6'].map((name) => readFile(`/proc/net/${name}`, 'utf8')));
  const lines = tables.flatMap((table) => table.trim().split('\n').slice(1));
  const listening = lines.map((line) => line.trim().split(/\s+/)).filter((fields) => fields[3] === '0A');
  return new Set(listening.map(([, local = '']) => Number.parseInt(local.split(':')[1] ?? '', 16)));
}

describe.skipIf(process.platform !== 'linux')('a run over IPv6', () => {
  it('has the bits of one process, at ports that are given, with workers started by hand', async () => {
    const folder = await temporaryFolder();
    const { config } = await writeSmallTraining(folder);
    const keys = await makeKeys(folder);
    const port = await freePort();
    const base = await freePorts(20);
    const shape = `--config ${config} --workers 2 --epochs 8 --threads 1 --json`;
    const coordinator = new Lockstep(
      words(`coordinator --listen tcp://[::]:${port} --keys ${keys} --out ${folder}/run`, shape),
    );
    const worker = (address: string): Lockstep =>
      new Lockstep(
        words(
          `worker --coordinator tcp://${address}:${port} --keys ${keys} --device cpu --peer-port ${base}`,
        ),
      );
    const workers = [worker('[::1]'), worker('[0:0:0:0:0:0:0:1]')];
    await coordinator.event('start');
    const used = [...(await listeningPorts())].filter((one) => one >= base && one < base + 20);
    expect(used).toHaveLength(2);
    const ended = await Promise.all([coordinator.ended, ...workers.map((one) => one.ended)]);
    for (const { status, stderr } of ended) expect(status, stderr).toBe(0);
    const alone = await lockstep(words(`train --out ${folder}/alone --shards 2`, shape));
    expect(weightsOf(ended[0].events)).toMatch(/^[0-9a-f]{64}$/);
    expect(weightsOf(ended[0].events)).toBe(weightsOf(alone.events));
  });

  it('mixes with IPv4 if the workers are reached by a name', async () => {
    const folder = await temporaryFolder();
    const { config } = await writeSmallTraining(folder);
    const keys = await makeKeys(folder);
    const port = await freePort();
    const coordinator = new Lockstep(
      words(
        `coordinator --listen tcp://*:${port} --keys ${keys} --out ${folder}/run`,
        `--config ${config} --workers 2 --epochs 2 --threads 1 --json`,
      ),
    );
    const workers = ['[::1]', '127.0.0.1'].map(
      (address) =>
        new Lockstep(
          words(
            `worker --coordinator tcp://${address}:${port} --keys ${keys} --device cpu --peer-host localhost`,
          ),
        ),
    );
    const ended = await Promise.all([coordinator.ended, ...workers.map((one) => one.ended)]);
    for (const { status, stderr } of ended) expect(status, stderr).toBe(0);
  });
});

describe('a worker that does not reach its coordinator', () => {
  const servers: Server[] = [];
  afterEach(() => servers.splice(0).forEach((server) => server.close()));

  async function listening(server: Server): Promise<number> {
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  }

  const workerAt = (port: number, ...more: string[]) =>
    lockstep(['worker', '--coordinator', `tcp://127.0.0.1:${port}`, '--device', 'cpu', ...more]);

  it('waits, with a line every ten seconds, and ends with status 1 at the limit', async () => {
    const port = await freePort();
    const { status, stderr } = await workerAt(port, '--connect-timeout-ms', '21500');
    const lines = stderr.split('\n').filter((line) => line.startsWith('Waiting for the coordinator'));
    expect(lines).toEqual([
      expect.stringMatching(
        new RegExp(`at tcp://127.0.0.1:${port} to answer since .* \\(10 s\\): nothing listens there`),
      ),
      expect.stringContaining('(20 s): nothing listens there (ECONNREFUSED); the limit is 22 s.'),
    ]);
    expect(stderr).toContain(`Error (PEER_LOST): No coordinator at tcp://127.0.0.1:${port}: waited 22 s`);
    expect(status).toBe(1);
  });

  it('names a stranger at the port, another coordinator.pub, and its own key: status 2, at once', async () => {
    const folder = await temporaryFolder();
    const [keys, others] = [await makeKeys(folder), join(folder, 'others')];
    expect((await lockstep(['keygen', '--out', others])).status).toBe(0);
    const port = await freePort();
    const { config } = await writeSmallTraining(folder);
    const coordinator = new Lockstep(
      words(
        `coordinator --listen tcp://127.0.0.1:${port} --keys ${keys} --json`,
        `--config ${config} --workers 1 --out ${folder}/run`,
      ),
    );
    await coordinator.event('run');
    const wrongPub = join(folder, 'wrong-pub');
    expect((await lockstep(['keygen', '--out', wrongPub])).status).toBe(0);
    await copyFile(join(keys, 'worker.key'), join(wrongPub, 'worker.key'));
    await copyFile(join(keys, 'coordinator.pub'), join(others, 'coordinator.pub'));
    const web = await listening(createHttpServer());
    const answers = await Promise.all([
      workerAt(port, '--keys', others),
      workerAt(port, '--keys', wrongPub),
      workerAt(web, '--keys', keys),
      workerAt(web),
    ]);
    const texts = [
      /The coordinator refused this worker: it does not allow the key/,
      /expected the owner of the key .* \(coordinator\.pub\), got a process with another key/,
      /expected a coordinator of Lockstep, got another program, which answered "HTTP/,
      /expected a coordinator of Lockstep, got another program, which answered "HTTP/,
    ];
    for (const [i, { status, stderr }] of answers.entries()) {
      expect(stderr).toMatch(texts[i] ?? /never/);
      expect(stderr).not.toContain('closed the connection.');
      expect(status).toBe(2);
    }
  });

  it('is told the form of an address, and a port that is taken', async () => {
    const bare = await lockstep(['worker', '--coordinator', `tcp://::1:${defaultPort}`]);
    expect(bare.stderr).toContain('Put brackets around an IPv6 address');
    expect(bare.status).toBe(2);
    const server = createServer();
    const base = await listening(server);
    const taken = await workerAt(await freePort(), '--peer-port', String(base));
    expect(taken.stderr).toContain(
      `Port ${base} for the other workers (--peer-port ${base}, worker slot 0 of this host): expected a free port`,
    );
    expect(taken.status).toBe(2);
  });
});

/** A mount namespace with its own table of names. */
const inNamespace = ['--mount', '--propagation', 'private'];
const isPermitted = spawnSync('unshare', [...inNamespace, 'true']).status === 0;

describe.runIf(isPermitted)('a coordinator with a name', () => {
  it('is found at another address after a loss, with the same bits', async () => {
    const folder = await temporaryFolder();
    const { config } = await writeSmallTraining(folder);
    const keys = await makeKeys(folder);
    const hosts = join(folder, 'hosts');
    const port = await freePort();
    const shape = `--config ${config} --workers 2 --epochs 60 --threads 1 --json`;
    const names = (address: string): Promise<void> =>
      writeFile(hosts, `127.0.0.1 localhost\n${address} trainer.test\n`);
    const coordinate = (address: string, env = {}): Lockstep =>
      new Lockstep(
        words(`coordinator --listen tcp://${address}:${port} --keys ${keys} --out ${folder}/run`, shape),
        { env },
      );
    await names('127.0.0.2');
    const first = coordinate('127.0.0.2');
    const within = [
      'unshare',
      ...inNamespace,
      'sh',
      '-c',
      'mount --bind "$0" /etc/hosts && exec "$@"',
      hosts,
    ];
    const workers = [0, 1].map(
      () =>
        new Lockstep(words(`worker --coordinator tcp://trainer.test:${port} --keys ${keys} --device cpu`), {
          within,
        }),
    );
    await first.event('step', ({ step }) => step > 20);
    first.kill('SIGKILL');
    await first.ended;
    await names('127.0.0.3');
    // The variables of pm2, which make this coordinator the successor of the first.
    const second = coordinate('127.0.0.3', { pm_id: '0', restart_time: '1' });
    const ended = await Promise.all([second.ended, ...workers.map((one) => one.ended)]);
    for (const { status, stderr } of ended) expect(status, stderr).toBe(0);
    expect(ended[0].events.find(({ event }) => event === 'resumed')).toBeUndefined();
    const alone = await lockstep(words(`train --out ${folder}/alone --shards 2`, shape));
    expect(weightsOf(ended[0].events)).toMatch(/^[0-9a-f]{64}$/);
    expect(weightsOf(ended[0].events)).toBe(weightsOf(alone.events));
  });
});
