/** Selects the address of this machine for its peers: the one from which the coordinator is reached. */

import { createSocket } from 'node:dgram';
import { parseTcp, type TcpAddress } from '../../network/address.js';
import { resolveTcp } from '../../network/resolve.js';

/** An address of this machine, without a port. */
export type LocalAddress = Pick<TcpAddress, 'host' | 'zone'>;

/**
 * The local address that routes to `endpoint` (tcp://host:port); 127.0.0.1 for ipc. Sends no packet.
 * @throws the system's error if no route leads there
 */
export async function localAddressTowards(endpoint: string): Promise<LocalAddress> {
  const address = parseTcp(endpoint);
  if (!address) return { host: '127.0.0.1' };
  let failure: unknown;
  for (const number of await resolveTcp(address)) {
    try {
      return await sourceFor(number);
    } catch (error) {
      failure ??= error;
    }
  }
  throw failure;
}

async function sourceFor({ host, zone, port }: TcpAddress): Promise<LocalAddress> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  try {
    // Connecting a datagram socket only looks up the route.
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.connect(port, zone === undefined ? host : `${host}%${zone}`, resolve);
    });
    const [source = '', scope] = socket.address().address.split('%');
    return { host: source, ...(scope !== undefined && { zone: scope }) };
  } finally {
    socket.close();
  }
}
