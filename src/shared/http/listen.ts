/** Parses the addresses of a run's HTTP servers and binds them, one way. */

import type { AddressInfo, Server } from 'node:net';

export interface HttpAddress {
  readonly host: string;
  /** With port 0, the system chooses a free one. */
  readonly port: number;
}

/**
 * Parses PORT, which is on loopback, or HOST:PORT. The host `*` stands for all addresses of this machine, of IPv4 and of IPv6. Returns
 * undefined for other text.
 */
export function parseHttpAddress(text: string): HttpAddress | undefined {
  const [, bracketed, plain, digits = ''] =
    /^(?:(?:\[([\da-fA-F:.]+)\]|([\w.-]+|\*)):)?(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === '' || port > 65_535) return undefined;
  return { host: bracketed ?? plain ?? '127.0.0.1', port };
}

/** Returns the URL of a host and port, with a slash at its end. */
export function httpUrl({ host, port }: HttpAddress): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}/`;
}

/**
 * Binds a server. Its later errors, such as a connection that cannot be accepted because too many files are open, are passed to
 * `onError` and end nothing; without a listener, Node would end the process.
 * @returns the port
 * @throws the error of the system if the address cannot be bound
 */
export function listen(
  server: Pick<Server, 'once' | 'on' | 'off' | 'listen' | 'address'>,
  { host, port }: HttpAddress,
  onError: (error: Error) => void,
): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // Without a host, Node listens on IPv6 and IPv4, or on IPv4 alone if the system has no IPv6.
    server.listen({ port, ...(host !== '*' && { host }) }, () => {
      server.off('error', reject);
      server.on('error', onError);
      resolve((server.address() as AddressInfo).port);
    });
  });
}
