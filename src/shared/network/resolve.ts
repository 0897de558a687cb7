/** Resolves the host of an address to numbers: A and AAAA records, in the order in which the system would try them. */

import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { parseHost, type TcpAddress } from './address.js';

/** Returns true if the host is a name, which may get other addresses later. */
export const isName = ({ host }: TcpAddress): boolean => host !== '*' && isIP(host) === 0;

/**
 * Returns the address with each number that its name has now; the address itself if it has no name.
 * @throws the system's error if the name is unknown
 */
export async function resolveTcp(address: TcpAddress): Promise<TcpAddress[]> {
  if (!isName(address)) return [address];
  const found = await lookup(address.host, { all: true, verbatim: true });
  return found.map(({ address: number }) => ({ ...parseHost(number), port: address.port }));
}
