import { readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { curveKeyPair, Dealer } from 'zeromq';
import { readClientKeys, readServerKeys } from '../../src/cli/security/key-files.js';
import { writeKeyPair } from '../../src/cli/security/write-keys.js';
import type { ClientKeys, ServerKeys } from '../../src/shared/security/curve-key.js';
import { asRank } from '../../src/shared/sharding/identifiers.js';
import { openControlClient } from '../../src/shared/transport/zmq/control-client.js';
import { openControlServer } from '../../src/shared/transport/zmq/control-server.js';
import { openDataPlane } from '../../src/shared/transport/zmq/data-plane.js';
import { mostHeld } from '../../src/shared/transport/zmq/gatekeeper.js';
import { eventually } from '../support/eventually.js';
import { temporaryFolder } from '../support/lockstep.js';

/** Limit of connections of the servers. */
const limit = 50;

const closers: (() => unknown)[] = [];
afterEach(async () => {
  await Promise.all(closers.splice(0).map((close) => close()));
});

/** Connections that send nothing. ZeroMQ closes each after five seconds, so they are opened again until they are ended. */
class Silence {
  readonly #port: number;
  readonly #sockets = new Set<Socket>();
  #ended = false;
  constructor(endpoint: string, count: number) {
    this.#port = Number(endpoint.split(':').at(-1));
    for (let i = 0; i < count; i++) this.#open();
    closers.push(() => this.end());
  }

  #open(): void {
    if (this.#ended) return;
    const socket = connect(this.#port, '127.0.0.1');
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('data', () => undefined);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      this.#open();
    });
  }

  end(): void {
    this.#ended = true;
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** Waits until both ends of this many connections are open, which are in this process. */
async function connections(count: number): Promise<void> {
  await eventually('the connections', () => readdirSync('/proc/self/fd').length > 2 * count);
}

async function server(keys: ServerKeys | null): Promise<string> {
  const opened = await openControlServer('tcp://127.0.0.1:*', 1_000_000, keys, limit);
  closers.push(() => opened.close());
  opened.listen({
    message: (from, bytes) => opened.send(from, Buffer.from(`heard ${Buffer.from(bytes).toString()}`)),
    disconnected: () => undefined,
    unreachable: () => undefined,
  });
  return opened.endpoint;
}

/** Connects a client and returns the list of its observations. */
function knock(endpoint: string, keys: ClientKeys | null) {
  const client = openControlClient(endpoint, 1_000_000, keys);
  closers.push(() => client.close());
  const seen: string[] = [];
  client.connect({
    message: (bytes) => seen.push(Buffer.from(bytes).toString()),
    disconnected: () => seen.push('disconnected'),
    refused: ({ message }) => seen.push(`refused: ${message}`),
    busy: ({ message }) => seen.push(`busy: ${message}`),
  });
  client.send(Buffer.from('let me in'));
  return seen;
}

describe.skipIf(process.platform !== 'linux')('connections that stay silent', () => {
  let keys = '';
  beforeEach(async () => {
    keys = await temporaryFolder();
    writeKeyPair(keys, 'coordinator', curveKeyPair(), false);
    writeKeyPair(keys, 'worker', curveKeyPair(), true);
  });

  it('do not keep out a worker whose key is allowed', async () => {
    const endpoint = await server(readServerKeys(keys));
    new Silence(endpoint, 4 * limit);
    await connections(3 * limit);
    const seen = knock(endpoint, readClientKeys(keys, 'any'));
    await eventually('an answer', () => seen.length > 0);
    expect(seen).toEqual(['heard let me in']);
    // Another key is refused for its own reason.
    const stranger = knock(endpoint, {
      own: curveKeyPair(),
      serverKey: readClientKeys(keys, 'any').serverKey,
    });
    await eventually('a refusal', () => stranger.length > 0);
    expect(stranger[0]).toMatch(/^refused: .* it does not allow the key/);
  });

  it('only delay a worker without keys, which is told the reason', async () => {
    const endpoint = await server(null);
    const silence = new Silence(endpoint, 4 * limit);
    await connections(3 * limit);
    const seen = knock(endpoint, null);
    await eventually('the first attempt', () => seen.length > 0);
    silence.end();
    await eventually('an answer', () => seen.at(-1) === 'heard let me in');
    expect(new Set(seen.slice(0, -1))).toEqual(
      new Set([expect.stringMatching(/^busy: The coordinator has too many connections; .* tries again/)]),
    );
  });
});

describe('a message of many parts, of which ZeroMQ limits the size and not the number', () => {
  const [parts, partBytes] = [300, 900_000];

  async function flood(endpoint: string, keys: ClientKeys | null): Promise<void> {
    const dealer = new Dealer({
      linger: 0,
      ...(keys && {
        curveServerKey: keys.serverKey,
        curvePublicKey: keys.own.publicKey,
        curveSecretKey: keys.own.secretKey,
      }),
    });
    closers.push(() => dealer.close());
    const refused = new Promise((resolve) => {
      dealer.events.on('handshake:error:auth', resolve);
      dealer.events.on('handshake:error:protocol', resolve);
    });
    dealer.connect(endpoint);
    const part = Buffer.alloc(partBytes);
    await dealer.send(Array.from({ length: parts }, () => part));
    await refused;
  }

  it('reaches no memory of a coordinator without an allowed key', async () => {
    const keys = await temporaryFolder();
    writeKeyPair(keys, 'coordinator', curveKeyPair(), false);
    writeKeyPair(keys, 'worker', curveKeyPair(), true);
    const endpoint = await server(readServerKeys(keys));
    const { serverKey } = readClientKeys(keys, 'any');
    // The server is in this process too. The sender holds one part, to which its messages refer.
    const before = process.memoryUsage().rss;
    await flood(endpoint, null);
    await flood(endpoint, { own: curveKeyPair(), serverKey });
    expect(process.memoryUsage().rss - before).toBeLessThan((parts * partBytes) / 2);
    const seen = knock(endpoint, readClientKeys(keys, 'any'));
    await eventually('an answer', () => seen.length > 0);
    expect(seen).toEqual(['heard let me in']);
  });
});

it.skipIf(process.platform !== 'linux')(
  'strangers who wait at a data plane do not keep out a peer that is planned later',
  async () => {
    const make = () =>
      openDataPlane({ socketDirectory: null, host: '127.0.0.1', maxFrameBytes: 1_000, secure: true });
    const [one, other] = await Promise.all([make(), make()]);
    closers.push(
      () => one.close(),
      () => other.close(),
    );
    const quiet = { frame: () => undefined, disconnected: () => undefined };
    const towards = { rank: asRank(0), endpoint: one.endpoint, publicKey: one.publicKey };
    other.connect([towards], quiet);
    other.send(asRank(0), [Buffer.from('peer')]);
    for (let i = 0; i < mostHeld + 20; i++)
      knock(one.endpoint, { own: curveKeyPair(), serverKey: one.publicKey ?? '' });
    // The oldest handshakes, the peer's among them, have been put off by now, or are soon.
    const frames: string[] = [];
    await connections(mostHeld + 20);
    one.connect([{ rank: asRank(1), endpoint: other.endpoint, publicKey: other.publicKey }], {
      ...quiet,
      frame: (frame) => frames.push(frame.toString()),
    });
    await eventually('the frame of the peer', () => frames.length > 0);
    expect(frames).toEqual(['peer']);
  },
);
