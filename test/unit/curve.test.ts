import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Dealer, curveKeyPair } from 'zeromq';
import { ConfigError } from '../../src/shared/errors.js';
import { keyText, keyPattern, type ClientKeys } from '../../src/shared/security/curve-key.js';
import { isLocal, requireKeys } from '../../src/shared/security/endpoints.js';
import { readClientKeys, readServerKeys } from '../../src/cli/security/key-files.js';
import { writeKeyPair } from '../../src/cli/security/write-keys.js';
import type { ControlClient, ControlServer } from '../../src/shared/transport/transport.js';
import { openControlClient } from '../../src/shared/transport/zmq/control-client.js';
import { openControlServer } from '../../src/shared/transport/zmq/control-server.js';
import { eventually } from '../support/eventually.js';

let folder: string;
const closers: (() => unknown)[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lockstep-keys-'));
  writeKeyPair(folder, 'coordinator', curveKeyPair(), false);
  writeKeyPair(folder, 'worker', curveKeyPair(), true);
});
afterEach(async () => {
  await Promise.all(closers.splice(0).map((close) => close()));
  rmSync(folder, { recursive: true, force: true });
});

/** A coordinator's end with keys, and what it has received. */
async function guarded(): Promise<{ server: ControlServer; heard: string[]; next: () => Promise<string> }> {
  const server = await openControlServer('tcp://127.0.0.1:*', 1_000_000, readServerKeys(folder));
  closers.push(() => server.close());
  const heard: string[] = [];
  let wake = (): void => undefined;
  server.listen({
    message: (from, bytes) => {
      heard.push(Buffer.from(bytes).toString());
      server.send(from, Buffer.from('welcome'));
      wake();
    },
    disconnected: () => undefined,
    unreachable: () => undefined,
  });
  const next = async (): Promise<string> => {
    while (heard.length === 0) await new Promise<void>((resolve) => (wake = resolve));
    return heard.shift() ?? '';
  };
  return { server, heard, next };
}

/** Returns the answer to the first message of a worker with these keys, or the reason of its refusal. */
function knock(endpoint: string, keys: ClientKeys | null): Promise<string> {
  const client: ControlClient = openControlClient(endpoint, 1_000_000, keys);
  closers.push(() => client.close());
  return new Promise((resolve) => {
    client.connect({
      message: (bytes) => resolve(Buffer.from(bytes).toString()),
      disconnected: () => undefined,
      refused: ({ message }) => resolve(message),
    });
    client.send(Buffer.from('let me in'));
  });
}

describe('the allow-list of the control plane', () => {
  it('accepts a permitted key and answers it', async () => {
    const { server, next } = await guarded();
    expect(await knock(server.endpoint, readClientKeys(folder, 'some-host'))).toBe('welcome');
    expect(await next()).toBe('let me in');
  });

  it("refuses an unknown client that has the server's public key and a key pair of its own", async () => {
    const { server, heard, next } = await guarded();
    const { serverKey } = readClientKeys(folder, 'some-host');
    const own = curveKeyPair();
    expect(await knock(server.endpoint, { own, serverKey })).toContain(own.publicKey);
    expect(heard).toEqual([]);
    // The same process still serves those that may come in.
    expect(await knock(server.endpoint, readClientKeys(folder, 'some-host'))).toBe('welcome');
    expect(await next()).toBe('let me in');
  });

  it('refuses a client without CURVE, and one with the public key of another server', async () => {
    const { server, heard } = await guarded();
    expect(await knock(server.endpoint, null)).toContain('requires CURVE keys');
    const mistaken = { ...readClientKeys(folder, 'some-host'), serverKey: curveKeyPair().publicKey };
    const dealer = new Dealer({
      linger: 0,
      curveServerKey: mistaken.serverKey,
      curvePublicKey: mistaken.own.publicKey,
      curveSecretKey: mistaken.own.secretKey,
    });
    closers.push(() => dealer.close());
    const failed = new Promise((resolve) => dealer.events.on('handshake:error:other', resolve));
    dealer.connect(server.endpoint);
    await dealer.send('let me in');
    await failed;
    expect(heard).toEqual([]);
  });

  it('accepts a key that is added while it is open, and refuses one that is removed', async () => {
    const own = curveKeyPair();
    const { serverKey } = readClientKeys(folder, 'some-host');
    const keys = readServerKeys(folder);
    expect(keys.allows(own.publicKey)).toBe(false);
    writeKeyPair(folder, 'newcomer', own, true);
    await eventually('the key to be allowed', () => keys.allows(own.publicKey));
    expect(readClientKeys(folder, 'newcomer')).toEqual({ own, serverKey });
    unlinkSync(join(folder, 'authorized', 'newcomer.pub'));
    await eventually('the key to be refused', () => !keys.allows(own.publicKey));
  });
});

describe('a folder of keys', () => {
  it('has secret keys that only their owner can read, and never overwrites them', () => {
    for (const name of ['coordinator', 'worker']) {
      expect(statSync(join(folder, `${name}.key`)).mode & 0o777).toBe(0o600);
      expect(readFileSync(join(folder, `${name}.pub`), 'utf8')).not.toContain('secret');
    }
    expect(() => writeKeyPair(folder, 'worker', curveKeyPair(), true)).toThrow(/already/);
    chmodSync(join(folder, 'worker.key'), 0o640);
    expect(() => readClientKeys(folder, 'x')).toThrow(/chmod 600/);
  });

  it.each(['', 'lockstep-public short worker\n', 'x'.repeat(5000), 'lockstep-public\n'])(
    'is refused with a file that holds something else: %#',
    (text) => {
      writeFileSync(join(folder, 'authorized', 'other.pub'), text);
      expect(() => readServerKeys(folder)).toThrow(ConfigError);
    },
  );

  it("writes bytes as ZeroMQ does: the example of ZeroMQ's RFC 32, four times", () => {
    const bytes = Buffer.from('864fd26fb559f75b'.repeat(4), 'hex');
    expect(keyText(bytes)).toBe('HelloWorld'.repeat(4));
    expect(keyText(bytes.subarray(1))).toBeUndefined();
    expect(curveKeyPair().publicKey).toMatch(keyPattern);
  });
});

describe('addresses that need keys', () => {
  it.each([
    ['ipc:///tmp/x', true],
    ['tcp://127.0.0.1:28600', true],
    ['tcp://127.9.9.9:*', true],
    ['tcp://localhost:28600', true],
    ['tcp://[::1]:28600', true],
    ['tcp://127.evil.example:28600', false],
    ['tcp://localhost.example:28600', false],
    ['tcp://0.0.0.0:28600', false],
    ['tcp://*:28600', false],
    ['tcp://[::]:28600', false],
    ['tcp://eth0:28600', false],
    ['tcp://10.0.0.1:28600', false],
    ['tcp://127.0.0.1;10.0.0.1:28600', false],
    ['udp://127.0.0.1:28600', false],
  ])('%s can be reached from this machine alone: %s', async (endpoint, local) => {
    expect(isLocal(endpoint)).toBe(local);
    if (local) return;
    expect(() => requireKeys(endpoint, false)).toThrow(/lockstep keygen/);
    expect(() => openControlClient(endpoint, 1_000)).toThrow(endpoint);
    await expect(openControlServer(endpoint, 1_000)).rejects.toThrow(ConfigError);
  });
});
