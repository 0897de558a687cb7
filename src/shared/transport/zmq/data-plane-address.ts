/** The address at which a worker's data plane listens, and the one that its peers connect to. */

import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { formatTcp, parseTcp } from '../../network/address.js';

export interface DataPlaneAddressOptions {
  /** Folder for ipc sockets, private to the user; null: TCP. */
  readonly socketDirectory: string | null;
  /** Address to listen on, for TCP; part of the endpoint that peers connect to. */
  readonly host: string;
  /** Interface of a link-local address, also of a peer's. */
  readonly zone?: string | undefined;
  /** Port to listen on, for TCP; default: the system chooses one. */
  readonly port?: number | undefined;
  /** Address that peers connect to instead of `host`. With keys, this end then listens on all addresses. */
  readonly advertisedHost?: string | undefined;
  /** True to encrypt and to accept only peers; required if other hosts can reach the address. */
  readonly secure?: boolean;
}

export function listenAddress(options: DataPlaneAddressOptions): string {
  const { socketDirectory, host, zone, port = 0, advertisedHost, secure = false } = options;
  if (socketDirectory !== null)
    return `ipc://${join(socketDirectory, `w-${process.pid}-${randomBytes(4).toString('hex')}`)}`;
  return formatTcp(advertisedHost !== undefined && secure ? { host: '*', port } : { host, zone, port });
}

/** Leaves out the zone of a link-local address: it is this machine's name of the interface, and a peer adds its own. */
export function addressForPeers(bound: string, { advertisedHost }: DataPlaneAddressOptions): string {
  const address = parseTcp(bound);
  if (!address) return bound;
  const { host, port } = address;
  return formatTcp({ host: advertisedHost ?? host, port });
}
