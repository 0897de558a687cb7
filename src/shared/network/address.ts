/**
 * Addresses of sockets: the only place that parses and prints them. An address is `tcp://HOST:PORT` or `ipc://PATH`. HOST is a name, an
 * IPv4 address, an IPv6 address in brackets, or `*`. A link-local IPv6 address has a zone: `tcp://[fe80::1%eth0]:28600`.
 */

import { isIP } from 'node:net';
import { ConfigError } from '../errors.js';

/**
 * The coordinator's port if an address names none. torchrun's rendezvous uses 29400 and its MASTER_PORT is 29500, Ray uses 6379, 8265
 * and 10001, Dask 8786 and 8787, Jupyter 8888, TensorBoard 6006, Spark 7077. Ports from 30000 on are Kubernetes' node ports and, from
 * 32768 on, those that Linux gives to outgoing connections. Horovod's launcher chooses its ports at random.
 */
export const defaultPort = 28_600;

export interface Host {
  /** A name, an IP address without brackets, or `*`. */
  readonly host: string;
  /** The interface of a link-local IPv6 address. */
  readonly zone?: string | undefined;
}

export interface TcpAddress extends Host {
  /** 0: the system chooses a port. */
  readonly port: number;
}

const tcpPattern = /^tcp:\/\/(?:\[([^\]%[]+)(?:%([\w.-]+))?\]|([\w.-]+|\*))(?::(\d{1,5}|\*))?$/;

/** Returns undefined for an address of another kind, and for a malformed one. */
export function parseTcp(endpoint: string): TcpAddress | undefined {
  const match = tcpPattern.exec(endpoint);
  if (!match) return undefined;
  const [, literal, zone, name, portText = String(defaultPort)] = match;
  const port = portText === '*' ? 0 : Number(portText);
  if (port > 65_535) return undefined;
  if (literal === undefined) return { host: name ?? '', port };
  if (isIP(literal) !== 6) return undefined;
  return { host: canonical(literal), ...(zone !== undefined && { zone }), port };
}

/** Prints an address as ZeroMQ expects it. */
export function formatTcp({ host, zone, port }: TcpAddress): string {
  const printed = isIP(host) === 6 ? `[${formatHost({ host, zone })}]` : host;
  return `tcp://${printed}:${port === 0 ? '*' : port}`;
}

/** Prints a host as the functions of the system expect it. */
export function formatHost({ host, zone }: Host): string {
  return zone === undefined ? host : `${host}%${zone}`;
}

/** Parses an IP address as the functions of the system return it. */
export function parseHost(text: string): Host {
  const [host = text, zone] = text.split('%');
  return { host, ...(zone !== undefined && { zone }) };
}

/** The shortest form of an IPv6 address, and the IPv4 address of one that is mapped into IPv6. */
function canonical(ipv6: string): string {
  const text = new URL(`http://[${ipv6}]`).hostname.slice(1, -1);
  const mapped = /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/.exec(text);
  if (!mapped) return text;
  const [high, low] = [mapped[1], mapped[2]].map((half) => Number.parseInt(half ?? '0', 16));
  return [high, low].flatMap((half = 0) => [half >> 8, half & 0xff]).join('.');
}

/**
 * Returns an address of the user in full, with the default port if it names none.
 * @throws ConfigError if it is malformed
 */
export function completeEndpoint(endpoint: string): string {
  if (endpoint.startsWith('ipc://') && endpoint.length > 'ipc://'.length) return endpoint;
  const parsed = parseTcp(endpoint);
  if (parsed) return formatTcp(parsed);
  const bare = /^tcp:\/\/[^[\]]*:[^[\]]*:/.test(endpoint);
  throw new ConfigError(
    `Address "${endpoint}": expected tcp://HOST:PORT or ipc://PATH, got another form. ` +
      (bare
        ? 'Put brackets around an IPv6 address, as in tcp://[::1]:28600.'
        : 'For example tcp://10.0.0.1:28600, tcp://[fd00::1]:28600 or tcp://trainer.example:28600.'),
    { endpoint },
  );
}

/** The address stands for all addresses of this machine, so no process can connect to it. */
export const isWildcard = ({ host }: Host): boolean => ['*', '0.0.0.0', '::'].includes(host);

/** An address of fe80::/10, which means something only together with an interface. */
export const isLinkLocal = ({ host }: Host): boolean => isIP(host) === 6 && /^fe[89ab]/i.test(host);

/** Returns true if only this machine can reach the address. */
export function isLoopback({ host }: TcpAddress): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}
