import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { Publisher, curveKeyPair } from 'zeromq';
import { ConfigError, type OperationalError } from '../../src/shared/errors.js';
import type { ClientKeys, ServerKeys } from '../../src/shared/security/curve-key.js';
import type { ControlClient } from '../../src/shared/transport/transport.js';
import { openControlClient } from '../../src/shared/transport/zmq/control-client.js';
import { openControlServer } from '../../src/shared/transport/zmq/control-server.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-port.js';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  await Promise.all(closers.splice(0).map((close) => close()));
});

const worker = curveKeyPair();
const coordinator = curveKeyPair();
const serverKeys: ServerKeys = { own: coordinator, allows: (key) => key === worker.publicKey };
const clientKeys: ClientKeys = { own: worker, serverKey: coordinator.publicKey };

async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => server.close());
  return `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function coordinated(keys: ServerKeys | null): Promise<string> {
  const server = await openControlServer('tcp://127.0.0.1:*', 1_000, keys);
  closers.push(() => server.close());
  server.listen({
    message: (from) => server.send(from, Buffer.from('welcome')),
    disconnected: () => undefined,
    unreachable: () => undefined,
  });
  return server.endpoint;
}

class Knock {
  readonly client: ControlClient;
  readonly messages: string[] = [];
  readonly errors: OperationalError[] = [];
  lost = 0;

  constructor(endpoint: string, keys: ClientKeys | null) {
    this.client = openControlClient(endpoint, 1_000, keys);
    closers.push(() => this.client.close());
    this.client.connect({
      message: (bytes) => this.messages.push(Buffer.from(bytes).toString()),
      disconnected: () => this.lost++,
      refused: (error) => this.errors.push(error),
    });
    this.client.send(Buffer.from('let me in'));
  }

  async error(): Promise<string> {
    const error = await eventually('an error', () => this.errors[0]);
    // Exit status 2: waiting and starting again cannot help.
    expect(error).toBeInstanceOf(ConfigError);
    expect(this.lost).toBe(0);
    return error.message;
  }
}

/** A program that is not Lockstep, and what its users would recognise it by. */
const strangers: Readonly<Record<string, { open: () => Promise<string>; answer: RegExp }>> = {
  'a web server': {
    open: () => listening(createHttpServer()),
    answer: /which answered "HTTP\/1\.1 400 Bad Request"/,
  },
  'a program that speaks first': {
    open: () => listening(createServer((socket) => socket.on('error', () => undefined).end('SSH-2.0-x\r\n'))),
    answer: /which answered "SSH-2\.0-x"/,
  },
  'a program that closes the connection when it does not understand': {
    open: () =>
      listening(
        createServer((socket) => {
          socket.on('error', () => undefined).once('data', () => socket.destroy());
        }),
      ),
    answer: /which closed the connection/,
  },
};

describe.each([
  ['with keys', clientKeys],
  ['without keys', null],
])('a worker %s', (_, keys) => {
  it.each(Object.entries(strangers))('names %s at the port of the coordinator', async (_name, stranger) => {
    const endpoint = await stranger.open();
    const knock = new Knock(endpoint, keys);
    const message = await knock.error();
    expect(message).toMatch(stranger.answer);
    expect(message).toContain(`Coordinator at ${endpoint}: expected a coordinator of Lockstep`);
    expect(message).toMatch(/Correct the host and the port of --coordinator/);
    expect(knock.messages).toEqual([]);
  });

  it('waits at a port without a listener, says so, and is served as soon as a coordinator listens', async () => {
    const port = await freePort();
    const knock = new Knock(`tcp://127.0.0.1:${port}`, keys);
    expect(await knock.client.diagnose?.()).toBe('nothing listens there (ECONNREFUSED)');
    const server = await openControlServer(`tcp://127.0.0.1:${port}`, 1_000, keys && serverKeys);
    closers.push(() => server.close());
    server.listen({
      message: (from) => server.send(from, Buffer.from('welcome')),
      disconnected: () => undefined,
      unreachable: () => undefined,
    });
    await eventually('a welcome', () => knock.messages.length > 0);
    expect([knock.errors, knock.lost]).toEqual([[], 0]);
    expect(await knock.client.diagnose?.()).toBe('connected, but it does not answer');
  });

  it('waits behind a proxy without a coordinator, and where nothing answers', async () => {
    for (const [serve, reason] of [
      [(socket) => socket.destroy(), /a proxy or a tunnel without a coordinator behind it/],
      [(socket) => socket.on('error', () => undefined), /accepts connections and does not answer/],
    ] satisfies [Parameters<typeof createServer>[1] & object, RegExp][]) {
      let connections = 0;
      const open = new Set<{ destroy(): void }>();
      const endpoint = await listening(
        createServer((socket) => {
          connections++;
          open.add(socket);
          serve(socket);
        }),
      );
      closers.push(() => open.forEach((socket) => socket.destroy()));
      const knock = new Knock(endpoint, keys);
      await eventually('a connection', () => connections > 0);
      expect(await knock.client.diagnose?.()).toMatch(reason);
      expect(knock.errors).toEqual([]);
    }
  });
});

describe('a worker with keys', () => {
  it('names the file of the coordinator if its key is another one', async () => {
    const endpoint = await coordinated(serverKeys);
    const wrong = { ...clientKeys, serverKey: curveKeyPair().publicKey };
    const knock = new Knock(endpoint, wrong);
    const message = await knock.error();
    expect(message).toContain(`expected the owner of the key ${wrong.serverKey} (coordinator.pub)`);
    expect(message).toContain('Copy coordinator.pub');
    // The coordinator serves others.
    const other = new Knock(endpoint, clientKeys);
    await eventually('a welcome', () => other.messages.length > 0);
  });

  it('names its own key if the coordinator does not know it', async () => {
    const own = curveKeyPair();
    const knock = new Knock(await coordinated(serverKeys), { ...clientKeys, own });
    expect(await knock.error()).toMatch(/does not allow the key .* folder of authorized keys/);
    expect(knock.errors[0]?.message).toContain(own.publicKey);
  });

  it('and a coordinator without, or the reverse, name the option', async () => {
    expect(await new Knock(await coordinated(null), clientKeys).error()).toContain(
      'Start it with --keys too',
    );
    expect(await new Knock(await coordinated(serverKeys), null).error()).toContain('Give --keys DIR');
  });

  it('recognises a program that speaks ZeroMQ for another purpose', async () => {
    const publisher = new Publisher({ linger: 0 });
    closers.push(() => publisher.close());
    await publisher.bind('tcp://127.0.0.1:*');
    expect(await new Knock(publisher.lastEndpoint ?? '', null).error()).toContain('got another program');
  });
});
