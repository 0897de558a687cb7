/**
 * Access to the dashboard. On loopback every user of the machine has access, under a loopback name only (otherwise a page on
 * the Internet could read it by DNS rebinding). On any other address a token is required. To control a run, a token is always required.
 */

import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { ConfigError } from '../shared/errors.js';
import { parseHttpAddress, type HttpAddress } from '../shared/http/listen.js';

export interface DashboardAddress extends HttpAddress {
  /** True if another port may be used when this one is taken. */
  readonly anyPort: boolean;
}

const defaultPort = 29_480;

/** Parses `--dashboard` without a value, a PORT, or HOST:PORT; port 0 lets the system choose. @throws ConfigError */
export function parseAddress(text: string | true): DashboardAddress {
  if (text === true) return { host: '127.0.0.1', port: defaultPort, anyPort: true };
  const address = parseHttpAddress(text);
  if (!address) throw new ConfigError(`--dashboard: expected a port or HOST:PORT, got "${text}".`);
  return { ...address, anyPort: false };
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

/** Returns the name in a `Host` header, without the port. */
export function hostNameIn(header: string | undefined): string {
  return (header ?? '').replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
}

/** The parts of a request that decide about its access. */
export interface Credentials {
  readonly bearer: string | undefined;
  readonly cookie: string | undefined;
}

/** Checks requests: with a token to read if one is required, and always with a token to control a run. */
export class Access {
  /** True if reading requires the token. */
  readonly isPrivate: boolean;
  readonly token: string;
  readonly #digest: Buffer;
  readonly #cookieValue: string;
  readonly #cookieDigest: Buffer;

  /** @param token the user's token; null to generate one */
  constructor(host: string, token: string | null) {
    this.isPrivate = token !== null || !isLoopback(host);
    this.token = token ?? randomBytes(18).toString('base64url');
    this.#digest = sha256(this.token);
    // It stays valid if the dashboard is started again with the same token.
    this.#cookieValue = createHmac('sha256', this.token).update('cookie of a dashboard').digest('base64url');
    this.#cookieDigest = sha256(this.#cookieValue);
  }

  /** Compares in constant time. */
  isToken(token: string): boolean {
    return isEqual(token, this.#digest);
  }

  /** Returns true if a request with these credentials may read the runs. */
  mayRead(credentials: Credentials): boolean {
    return !this.isPrivate || this.mayControl(credentials);
  }

  /** Returns true if a request with these credentials may stop the run. */
  mayControl({ bearer, cookie }: Credentials): boolean {
    if (bearer !== undefined) return this.isToken(bearer);
    return cookie !== undefined && isEqual(cookie, this.#cookieDigest);
  }

  /**
   * The cookie of a browser that has shown the token. Browsers send it to every port of the host, so it does not contain the token, and
   * the dashboards of different ports have different names of it.
   */
  cookie(hostHeader: string | undefined): { readonly name: string; readonly value: string } {
    const port = /:(\d+)$/.exec(hostHeader ?? '')?.[1] ?? '80';
    return { name: `lockstep-${port}`, value: this.#cookieValue };
  }

  /** Returns true if a request with this `Host` header may be answered. Any host is accepted if a token is required. */
  knows(hostHeader: string | undefined): boolean {
    return this.isPrivate || isLoopback(hostNameIn(hostHeader));
  }
}

const isEqual = (text: string, digest: Buffer): boolean => timingSafeEqual(sha256(text), digest);

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();
