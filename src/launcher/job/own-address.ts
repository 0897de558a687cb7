/** The name or address under which the other hosts of a job reach this one. */

import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import { isLinkLocal } from '../../shared/network/address.js';

/** The parts of the system that are used, replaced in tests. */
export interface NameService {
  /** Addresses of this host that other hosts may reach. */
  readonly own: readonly string[];
  readonly hostname: string;
  resolve(name: string): Promise<readonly string[]>;
}

export const systemNames = (): NameService => ({
  own: ownAddresses(),
  hostname: hostname(),
  resolve: async (name) => {
    try {
      return (await lookup(name, { all: true })).map(({ address }) => address);
    } catch {
      return [];
    }
  },
});

/** IPv4 addresses first; link-local ones of IPv6 mean nothing on another host. */
function ownAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, address }) => !internal && !isLinkLocal({ host: address }))
    .map(({ address }) => address)
    .sort((a, b) => isIP(a) - isIP(b));
}

/**
 * Returns the first name that leads to this host, else an address of this host. A name that leads to loopback here, as the host's own name
 * often does, would give the other workers an address that only this host can reach.
 * @param names candidates, such as the scheduler's name for this node
 */
export async function ownAddress(
  names: readonly (string | null | undefined)[],
  service: NameService = systemNames(),
): Promise<string> {
  for (const name of new Set([...names, service.hostname])) {
    if (name === null || name === undefined) continue;
    const addresses = await service.resolve(name);
    if (addresses.some((address) => service.own.includes(address))) return name;
  }
  return service.own[0] ?? '127.0.0.1';
}
