/** Selects the address of this machine for its peers: the one from which the coordinator is reached. */

import { createSocket } from 'node:dgram';
import { formatHost, parseHost, parseTcp, type Host, type TcpAddress } from '../../network/address.js';
import { resolveTcp } from '../../network/resolve.js';

/**
 * The local address that routes to `endpoint` (tcp://host:port); 127.0.0.1 for ipc. Sends no packet.
 * @throws the system's error if no route leads there
 */
export async function localAddressTowards(endpoint: string): Promise<Host> {
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

async function sourceFor(address: TcpAddress): Promise<Host> {
  const socket = createSocket(address.host.includes(':') ? 'udp6' : 'udp4');
  try {
    // Connecting a datagram socket only looks up the route.
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.connect(address.port, formatHost(address), resolve);
    });
    return parseHost(socket.address().address);
  } finally {
    socket.close();
  }
}
