/**
 * Connects a socket to an address, and connects it again when the address is a name that has other numbers now.
 *
 * ZeroMQ itself retries a connection and resolves its name each time. It uses the first number of one family only, and sees no change
 * while a connection is established. A name with both A and AAAA records, of which one leads nowhere, would therefore never be reached,
 * and a peer whose machine vanished without closing its connection would never be found at its new address. So names are resolved here,
 * and ZeroMQ gets numbers. After each failed attempt the next number of the name is tried.
 */

import { isIP } from 'node:net';
import type { Socket } from 'zeromq';
import { systemCode } from '../../errors.js';
import { formatTcp, isLinkLocal, parseTcp, type TcpAddress } from '../../network/address.js';
import { isName, resolveTcp } from '../../network/resolve.js';
import { monitorOf } from './sockets.js';

/** Shortest time between two resolutions of a name. */
const resolveMs = 500;

export type DialedSocket = Socket & {
  ipv6: boolean;
  connect(endpoint: string): void;
  disconnect(endpoint: string): void;
};

/** Returns true if the address is a name, so that the connection may move. */
export function mayMove(endpoint: string): boolean {
  const address = parseTcp(endpoint);
  return address !== undefined && isName(address);
}

export class Dialer {
  readonly #socket: DialedSocket;
  readonly #endpoint: string;
  readonly #address: TcpAddress | undefined;
  /** The endpoint to which ZeroMQ is connected or connects. */
  #target: string | undefined;
  readonly #numbersOf: typeof resolveTcp;
  #timer: NodeJS.Timeout | undefined;
  #resolving = false;
  #resolvedMs = Number.NEGATIVE_INFINITY;
  /** Why the name could not be resolved last time; undefined if it could. */
  unresolved: string | undefined;

  /**
   * @param zone interface for a link-local address that names none
   * @param numbersOf resolves a name
   */
  constructor(socket: DialedSocket, endpoint: string, zone?: string, numbersOf = resolveTcp) {
    this.#socket = socket;
    this.#numbersOf = numbersOf;
    const address = parseTcp(endpoint);
    this.#address = address && isLinkLocal(address) ? { zone, ...address } : address;
    this.#endpoint = this.#address ? formatTcp(this.#address) : endpoint;
  }

  /** The endpoint in numbers to which ZeroMQ is connected or connects; undefined while a name is unknown. */
  get target(): string | undefined {
    return this.#target;
  }

  start(): void {
    if (!this.#address || !isName(this.#address)) {
      this.#connect(this.#endpoint);
      return;
    }
    monitorOf(this.#socket).on('connect:retry', ({ address }) => {
      if (address === this.#target) this.#schedule();
    });
    void this.#resolve(true);
  }

  /** Connects anew, for an end of the connection after which ZeroMQ does not try again. */
  redial(): void {
    if (this.#socket.closed) return;
    const target = this.#target;
    this.#disconnect();
    if (this.#address && isName(this.#address)) this.#schedule();
    else if (target !== undefined) this.#connect(target);
  }

  /** Leaves a number that the name does not have any more. A connection to it may look intact for minutes. */
  follow(): void {
    if (this.#address && isName(this.#address)) void this.#resolve(false);
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #schedule(): void {
    if (this.#resolving) return;
    clearTimeout(this.#timer);
    const waitMs = Math.max(0, this.#resolvedMs + resolveMs - performance.now());
    this.#timer = setTimeout(() => void this.#resolve(true), waitMs);
  }

  /** @param failed true if the present number failed, so that the next one is tried */
  async #resolve(failed: boolean): Promise<void> {
    if (!this.#address || this.#resolving) return;
    this.#resolving = true;
    let found: string[] = [];
    try {
      found = (await this.#numbersOf(this.#address)).map(formatTcp);
      this.unresolved = undefined;
    } catch (error) {
      this.unresolved = systemCode(error) ?? String(error);
    } finally {
      this.#resolving = false;
      this.#resolvedMs = performance.now();
    }
    if (this.#socket.closed) return;
    if (this.#target !== undefined && found.includes(this.#target) && !failed) return;
    const next = nextOf(found, this.#target);
    if (next === undefined) {
      if (this.#target === undefined) this.#schedule();
      return;
    }
    if (next === this.#target) return;
    this.#disconnect();
    this.#connect(next);
  }

  #connect(target: string): void {
    this.#target = target;
    const address = parseTcp(target);
    // With this option ZeroMQ would look for IPv6 addresses only, and print IPv4 addresses as IPv6.
    if (address) this.#socket.ipv6 = isIP(address.host) === 6;
    this.#socket.connect(target);
  }

  #disconnect(): void {
    if (this.#target === undefined) return;
    try {
      this.#socket.disconnect(this.#target);
    } catch {
      // ZeroMQ has given the endpoint up.
    }
    this.#target = undefined;
  }
}

/** The number after the present one; the first if the name does not have the present one any more. */
function nextOf(found: readonly string[], present: string | undefined): string | undefined {
  const at = present === undefined ? -1 : found.indexOf(present);
  return found[(at + 1) % Math.max(1, found.length)];
}
