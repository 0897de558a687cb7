import { existsSync } from 'node:fs';
import { copyFile, readdir, rm } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { RunEvent } from '../../src/shared/runs/run-events.js';
import { freePort } from '../support/free-port.js';
import { onWasm } from '../support/engines.js';
import { Lockstep, lockstep, temporaryFolder } from '../support/lockstep.js';
import { writeSmallTraining } from '../support/small-training.js';

/** An address of this machine that other hosts could reach; loopback where there is none. */
const address =
  Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.1';

const weightsOf = (events: readonly RunEvent[]): string | undefined =>
  events.find((event) => event.event === 'done')?.weightsSha256;

describe('a run whose processes are started one by one, with keys', () => {
  it('trains to the same weights as without keys, and refuses unknown clients', async () => {
    const folder = await temporaryFolder();
    const { config } = await writeSmallTraining(folder);
    const keys = join(folder, 'keys');
    const strange = join(folder, 'strange');
    expect((await lockstep(['keygen', '--out', keys])).status).toBe(0);
    // A key pair of its own, and the public key of the server it wants to enter.
    expect((await lockstep(['keygen', '--out', strange])).status).toBe(0);
    await rm(join(strange, 'coordinator.pub'));
    expect((await lockstep(['keygen', 'second', '--out', keys])).stdout).toContain('second.key');
    await copyFile(join(keys, 'coordinator.pub'), join(strange, 'coordinator.pub'));

    const shape = ['--config', config, '--workers', '2', '--epochs', '8', '--threads', '1', '--json'];
    const listen = `tcp://${address}:${await freePort()}`;
    const coordinator = new Lockstep([
      'coordinator',
      '--listen',
      listen,
      '--keys',
      keys,
      '--out',
      join(folder, 'run'),
      ...shape,
    ]);
    await coordinator.event('run');
    const first = new Lockstep(['worker', '--coordinator', listen, '--keys', keys, '--device', 'cpu']);
    const strangers = await Promise.all([
      lockstep(['worker', '--coordinator', listen, '--keys', strange, '--device', 'cpu']),
      // Loopback needs no keys, so that this one gets as far as the coordinator's refusal.
      ...(address === '127.0.0.1' ? [lockstep(['worker', '--coordinator', listen, '--device', 'cpu'])] : []),
    ]);
    for (const { status, stderr } of strangers) {
      expect(stderr).toMatch(
        /The coordinator refused this worker: it (does not allow the key|requires CURVE)/,
      );
      expect(status).toBe(2);
    }
    const second = new Lockstep(['worker', '--coordinator', listen, '--keys', keys, '--device', 'cpu']);
    const { status, events } = await coordinator.ended;
    expect(status).toBe(0);
    expect([(await first.ended).status, (await second.ended).status]).toEqual([0, 0]);
    expect(events.filter(({ event }) => event === 'warning' || event === 'generation')).toEqual([]);

    const plain = await lockstep(['train', ...shape, '--out', join(folder, 'plain')]);
    expect(weightsOf(events)).toMatch(/^[0-9a-f]{64}$/);
    expect(weightsOf(events)).toBe(weightsOf(plain.events));
  });

  it.skipIf(onWasm)('does not begin without keys on an address that others can reach', async () => {
    const folder = await temporaryFolder();
    for (const args of [
      ['coordinator', '--listen', 'tcp://0.0.0.0:28600', '--out', join(folder, 'run')],
      ['worker', '--coordinator', 'tcp://192.0.2.1:28600'],
    ]) {
      const { status, stderr } = await lockstep(args);
      expect(stderr).toMatch(/tcp:\/\/(0\.0\.0\.0|192\.0\.2\.1):28600 can be reached.*lockstep keygen/);
      expect(status).toBe(2);
    }
    expect(existsSync(join(folder, 'run'))).toBe(false);
  });

  it.skipIf(onWasm)('encrypts on one host as well when asked to, with keys of its own', async () => {
    const folder = await temporaryFolder();
    const { config } = await writeSmallTraining(folder);
    const shape = ['--config', config, '--workers', '2', '--epochs', '2', '--threads', '1', '--json'];
    const env = { TMPDIR: folder };
    const secret = await lockstep(
      ['train', ...shape, '--security', 'curve', '--shared-memory', 'off', '--out', join(folder, 'a')],
      { env },
    );
    const plain = await lockstep(['train', ...shape, '--out', join(folder, 'b')]);
    expect(secret.status).toBe(0);
    expect(weightsOf(secret.events)).toBe(weightsOf(plain.events));
    expect((await readdir(folder)).filter((name) => name.startsWith('lockstep-'))).toEqual([]);
  });
});
