import { afterEach, describe, expect, it } from 'vitest';
import { Dealer, Router } from 'zeromq';
import { parseTcp, type TcpAddress } from '../../src/shared/network/address.js';
import { Dialer } from '../../src/shared/transport/zmq/dialer.js';
import { bind } from '../../src/shared/transport/zmq/sockets.js';
import { freePort } from '../support/free-port.js';

/** The end of a name: the numbers that it has now. */
class Name {
  hosts: string[] | undefined;
  lookups = 0;

  constructor(...hosts: string[]) {
    this.hosts = hosts;
  }

  readonly numbers = ({ port }: TcpAddress): Promise<TcpAddress[]> => {
    this.lookups++;
    if (!this.hosts) return Promise.reject(Object.assign(new Error('unknown'), { code: 'ENOTFOUND' }));
    return Promise.resolve(this.hosts.map((host) => ({ host, port })));
  };
}

describe('a connection to a name', () => {
  const closers: (() => void)[] = [];
  afterEach(() => closers.splice(0).forEach((close) => close()));

  async function listen(host: string, port: number): Promise<Router> {
    const router = new Router({ linger: 0 });
    closers.push(() => router.close());
    await bind(router, host.includes(':') ? `tcp://[${host}]:${port}` : `tcp://${host}:${port}`);
    return router;
  }

  function dial(name: Name, port: number) {
    const dealer = new Dealer({ linger: 0, immediate: true, reconnectInterval: 50, connectTimeout: 1_000 });
    const dialer = new Dialer(dealer, `tcp://trainer.test:${port}`, undefined, name.numbers);
    closers.push(() => {
      dialer.close();
      dealer.close();
    });
    dialer.start();
    return { dealer, dialer };
  }

  async function received(router: Router): Promise<string> {
    const [, bytes] = await router.receive();
    return String(bytes);
  }

  it('with A and AAAA records reaches the one that answers, whichever comes first', async () => {
    const port = await freePort();
    const router = await listen('127.0.0.1', port);
    for (const hosts of [
      ['::1', '127.0.0.1'],
      ['127.0.0.1', '::1'],
    ]) {
      const { dealer, dialer } = dial(new Name(...hosts), port);
      await dealer.send(hosts.join());
      expect(await received(router)).toBe(hosts.join());
      expect(dialer.target).toBe(`tcp://127.0.0.1:${port}`);
    }
  });

  it('is made as soon as the name exists, and says that it does not', async () => {
    const port = await freePort();
    const router = await listen('::1', port);
    const name = new Name();
    name.hosts = undefined;
    const { dealer, dialer } = dial(name, port);
    const sent = dealer.send('late');
    while (name.lookups < 2) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(dialer.unresolved).toBe('ENOTFOUND');
    name.hosts = ['::1'];
    await sent;
    expect(await received(router)).toBe('late');
    expect(dialer.unresolved).toBeUndefined();
  });

  it('moves to another number when the old one has gone', async () => {
    const port = await freePort();
    const name = new Name('127.0.0.1');
    const first = await listen('127.0.0.1', port);
    const { dealer } = dial(name, port);
    await dealer.send('one');
    expect(await received(first)).toBe('one');
    const second = await listen('::1', port);
    name.hosts = ['::1'];
    first.close();
    await Promise.all([
      // A message that is sent before the end of the old connection is noticed may be lost with it.
      (async () => {
        for (let i = 0; !dealer.closed && i < 100; i++) {
          await dealer.send('two');
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      })(),
      received(second).then((text) => {
        expect(text).toBe('two');
        dealer.close();
      }),
    ]).catch((error: unknown) => {
      if (!dealer.closed) throw error;
    });
  });

  it('leaves a connection that looks intact only if the name does not have its number any more', async () => {
    const port = await freePort();
    const name = new Name('127.0.0.1');
    const first = await listen('127.0.0.1', port);
    const second = await listen('::1', port);
    const { dealer, dialer } = dial(name, port);
    await dealer.send('one');
    expect(await received(first)).toBe('one');
    name.hosts = ['::1', '127.0.0.1'];
    dialer.follow();
    while (name.lookups < 2) await new Promise((resolve) => setTimeout(resolve, 20));
    await dealer.send('still here');
    expect(await received(first)).toBe('still here');
    name.hosts = ['::1'];
    dialer.follow();
    while (dialer.target !== `tcp://[::1]:${port}`) await new Promise((resolve) => setTimeout(resolve, 20));
    await dealer.send('moved');
    expect(await received(second)).toBe('moved');
  });
});

describe('an address to listen on', () => {
  const closers: (() => void)[] = [];
  afterEach(() => closers.splice(0).forEach((close) => close()));

  async function reached(listen: string, connect: string): Promise<string> {
    const router = new Router({ linger: 0 });
    const dealer = new Dealer({ linger: 0 });
    closers.push(
      () => router.close(),
      () => dealer.close(),
    );
    const port = parseTcp(await bind(router, listen))?.port ?? 0;
    new Dialer(dealer, `${connect}:${port}`).start();
    await dealer.send('hello');
    const [, bytes] = await router.receive();
    return String(bytes);
  }

  it.each([
    ['tcp://[::1]:*', 'tcp://[::1]'],
    ['tcp://127.0.0.1:*', 'tcp://127.0.0.1'],
    ['tcp://localhost:*', 'tcp://localhost'],
    ['tcp://*:*', 'tcp://127.0.0.1'],
    ['tcp://*:*', 'tcp://[::1]'],
    ['tcp://[::]:*', 'tcp://127.0.0.1'],
    ['tcp://[::]:*', 'tcp://[::1]'],
    ['tcp://0.0.0.0:*', 'tcp://127.0.0.1'],
  ])('%s is reached at %s', async (listen, connect) => {
    expect(await reached(listen, connect)).toBe('hello');
  });

  it('is printed with its own family', async () => {
    for (const [given, bound] of [
      ['tcp://127.0.0.1:*', /^tcp:\/\/127\.0\.0\.1:\d+$/],
      ['tcp://[::1]:*', /^tcp:\/\/\[::1\]:\d+$/],
    ] as const) {
      const router = new Router({ linger: 0 });
      closers.push(() => router.close());
      expect(await bind(router, given)).toMatch(bound);
    }
  });

  it('must be one of this machine', async () => {
    const router = new Router({ linger: 0 });
    closers.push(() => router.close());
    await expect(bind(router, 'tcp://[2001:db8::1]:*')).rejects.toThrow(
      "Can't listen on tcp://[2001:db8::1]:*: it is no address of this machine.",
    );
    await expect(bind(router, 'tcp://no-such-host.invalid:*')).rejects.toThrow(
      'the name no-such-host.invalid is unknown',
    );
  });
});
