import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/shared/errors.js';
import {
  completeEndpoint,
  defaultPort,
  formatTcp,
  isLinkLocal,
  isLoopback,
  isWildcard,
  parseTcp,
  type TcpAddress,
} from '../../src/shared/network/address.js';
import { isName } from '../../src/shared/network/resolve.js';

const parsed = (endpoint: string): TcpAddress => {
  const address = parseTcp(endpoint);
  if (!address) throw new Error(`${endpoint} is malformed`);
  return address;
};

describe('addresses', () => {
  it.each<[string, TcpAddress, string]>([
    ['tcp://10.0.0.1:28600', { host: '10.0.0.1', port: 28_600 }, 'tcp://10.0.0.1:28600'],
    ['tcp://[::1]:28600', { host: '::1', port: 28_600 }, 'tcp://[::1]:28600'],
    ['tcp://[0:0:0:0:0:0:0:1]:1', { host: '::1', port: 1 }, 'tcp://[::1]:1'],
    ['tcp://[FD00::A]:1', { host: 'fd00::a', port: 1 }, 'tcp://[fd00::a]:1'],
    ['tcp://[fe80::1%eth0]:5', { host: 'fe80::1', zone: 'eth0', port: 5 }, 'tcp://[fe80::1%eth0]:5'],
    ['tcp://[::ffff:10.0.0.1]:5', { host: '10.0.0.1', port: 5 }, 'tcp://10.0.0.1:5'],
    ['tcp://trainer-0.jobs.svc:5', { host: 'trainer-0.jobs.svc', port: 5 }, 'tcp://trainer-0.jobs.svc:5'],
    ['tcp://*:*', { host: '*', port: 0 }, 'tcp://*:*'],
    ['tcp://[::]:0', { host: '::', port: 0 }, 'tcp://[::]:*'],
    ['tcp://trainer', { host: 'trainer', port: defaultPort }, `tcp://trainer:${defaultPort}`],
    ['tcp://[fd00::1]', { host: 'fd00::1', port: defaultPort }, `tcp://[fd00::1]:${defaultPort}`],
  ])('%s is parsed and printed', (endpoint, address, printed) => {
    expect(parseTcp(endpoint)).toEqual(address);
    expect(formatTcp(address)).toBe(printed);
    expect(completeEndpoint(endpoint)).toBe(printed);
    expect(parseTcp(printed)).toEqual(address);
  });

  it.each([
    'tcp://::1:28600',
    'tcp://fd00::1',
    'tcp://[10.0.0.1]:5',
    'tcp://[trainer]:5',
    'tcp://10.0.0.1:65536',
    'tcp://10.0.0.1:port',
    'tcp://:28600',
    'tcp://',
    'tcp://a;b:5',
    'udp://10.0.0.1:5',
    '10.0.0.1:28600',
    'ipc://',
    '',
  ])('"%s" is refused with examples', (endpoint) => {
    expect(parseTcp(endpoint)).toBeUndefined();
    expect(() => completeEndpoint(endpoint)).toThrow(ConfigError);
    expect(() => completeEndpoint(endpoint)).toThrow(/\[::1\]|\[fd00::1\]/);
  });

  it('stay as they are if they name the file of a socket', () => {
    expect(completeEndpoint('ipc:///run/user/1000/lockstep/coordinator')).toBe(
      'ipc:///run/user/1000/lockstep/coordinator',
    );
  });

  it('are told apart: names, loopback, all addresses, and those that need an interface', () => {
    const are = (what: (address: TcpAddress) => boolean, ...endpoints: string[]): boolean[] =>
      endpoints.map((endpoint) => what(parsed(endpoint)));
    expect(are(isName, 'tcp://a:1', 'tcp://*:1', 'tcp://1.2.3.4:1', 'tcp://[::1]:1')).toEqual([
      true,
      false,
      false,
      false,
    ]);
    expect(are(isLoopback, 'tcp://[::ffff:127.0.0.1]:1', 'tcp://[::1]:1', 'tcp://[::]:1')).toEqual([
      true,
      true,
      false,
    ]);
    expect(are(isWildcard, 'tcp://*:1', 'tcp://0.0.0.0:1', 'tcp://[::]:1', 'tcp://[::1]:1')).toEqual([
      true,
      true,
      true,
      false,
    ]);
    expect(are(isLinkLocal, 'tcp://[fe80::1]:1', 'tcp://[febf::1]:1', 'tcp://[fec0::1]:1')).toEqual([
      true,
      true,
      false,
    ]);
  });

  it("have a default port that is none of torchrun's, Ray's, Dask's, Jupyter's, or the system's own", () => {
    expect([29_400, 29_500, 6_379, 8_265, 10_001, 8_786, 8_787, 8_888]).not.toContain(defaultPort);
    expect(defaultPort).toBeGreaterThan(1_023);
    expect(defaultPort).toBeLessThan(30_000);
  });
});
