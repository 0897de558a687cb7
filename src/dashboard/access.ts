/**
 * Who may see the dashboard. On loopback everybody on this machine, if the browser was sent there under a loopback name (else a
 * page of the Internet could read it by DNS rebinding); on any other address whoever has the token.
 */

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { ConfigError } from '../shared/errors.js';

export interface DashboardAddress {
  readonly host: string;
  readonly port: number;
  /** Another port will do if this one is taken. */
  readonly anyPort: boolean;
}

const defaultPort = 29_480;
export const cookieName = 'lockstep';

/** `--dashboard` alone, a PORT, or HOST:PORT; port 0: any. @throws ConfigError */
export function parseAddress(text: string | true): DashboardAddress {
  if (text === true) return { host: '127.0.0.1', port: defaultPort, anyPort: true };
  const [, bracketed, plain, digits = ''] =
    /^(?:(?:\[([\da-fA-F:.]+)\]|([\w.-]+)):)?(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === '' || port > 65_535) {
    throw new ConfigError(`--dashboard: expected a port or HOST:PORT, got "${text}".`);
  }
  return { host: bracketed ?? plain ?? '127.0.0.1', port, anyPort: false };
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

/** What may be asked of a visitor: nothing, or this token. */
export class Access {
  readonly token: string | null;
  readonly #digest: Buffer | undefined;

  /** @param token one that was given; null: made up where one is needed */
  constructor(host: string, token: string | null) {
    this.token = token ?? (isLoopback(host) ? null : randomBytes(18).toString('base64url'));
    this.#digest = this.token === null ? undefined : sha256(this.token);
  }

  /** Takes the same time for any wrong token. */
  admits(token: string | undefined): boolean {
    return (
      this.#digest === undefined || (token !== undefined && timingSafeEqual(sha256(token), this.#digest))
    );
  }

  /** Whether a request to this `Host` may be answered; where a token is asked for, to any. */
  knows(hostHeader: string | undefined): boolean {
    if (this.#digest !== undefined) return true;
    const name = (hostHeader ?? '').replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
    return isLoopback(name);
  }
}

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();
