/** Selects the address of this machine for its peers: the one from which the coordinator is reached. */

import { createSocket } from 'node:dgram';

/** The local address that routes to `endpoint` (tcp://host:port); 127.0.0.1 for ipc. Sends no packet. */
export async function localAddressTowards(endpoint: string): Promise<string> {
  const match = /^tcp:\/\/\[?([^\]]+?)\]?:(\d+)$/.exec(endpoint);
  if (!match?.[1]) return '127.0.0.1';
  const host = match[1];
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  try {
    // Connecting a datagram socket only looks up the route.
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.connect(Number(match[2]), host, resolve);
    });
    const { address } = socket.address();
    return address.includes(':') ? `[${address}]` : address;
  } finally {
    socket.close();
  }
}
