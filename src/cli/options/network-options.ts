/** The options of a worker for its place in the network. */

import { Option, type Command } from 'commander';
import { isIP } from 'node:net';
import { ConfigError } from '../../shared/errors.js';
import type { HttpAddress } from '../../shared/http/listen.js';
import { isLocal } from '../../shared/security/endpoints.js';
import { requireFreePort } from '../../shared/network/free-port.js';
import type {
  PeerAddressOptions,
  WorkerTransportOptions,
} from '../../worker/communicator/worker-transports.js';
import { environmentVariable, instanceNumber } from '../environment/environment.js';
import { placeOnHost } from '../environment/place-on-host.js';
import { workerHealthAddress } from '../health/worker-health-address.js';
import { wholeNumber } from './number-options.js';

export interface NetworkFlags {
  readonly peerPort?: string;
  readonly peerHost?: string;
  readonly connectTimeoutMs?: string;
  readonly health?: string;
}

const defaultConnectTimeoutMs = '600000';
const mostMs = 604_800_000;

export function addNetworkOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--peer-port <port>',
        'port for the other workers: PORT for the first worker of this host and this run, PORT + 1 for the second, and so on (default: LOCKSTEP_PEER_PORT, else the system chooses)',
      ),
    )
    .addOption(
      new Option(
        '--peer-host <host>',
        'name or address under which the other workers reach this one (default: LOCKSTEP_PEER_HOST, else the address from which it reaches the coordinator)',
      ),
    )
    .addOption(
      new Option(
        '--connect-timeout-ms <ms>',
        `time to wait for a coordinator that does not answer; 0: without limit (default: LOCKSTEP_CONNECT_TIMEOUT_MS, else ${defaultConnectTimeoutMs})`,
      ),
    );
}

/** The place of a worker on its host and in the network. */
export interface NetworkPlace extends Pick<WorkerTransportOptions, 'peer' | 'connectTimeoutMs'> {
  readonly health: HttpAddress | null;
  readonly slot: string;
  /** Number of this worker on its host, counted from 0; undefined if it has none. */
  readonly number: number | undefined;
}

/** @throws ConfigError, also if the port for the other workers is taken */
export async function placeInNetwork(
  flags: NetworkFlags & { readonly slot?: string; readonly launched?: boolean; readonly instance?: number },
  coordinator: string,
): Promise<NetworkPlace> {
  const { slot, number } = await placeOnHost(flags.slot, coordinator);
  const health = workerHealthAddress(flags.health, flags.instance ?? instanceNumber());
  // The launcher watches over the coordinator of its workers, which meet at sockets in a folder unless they belong to a job.
  if (flags.launched === true)
    return {
      slot,
      number,
      health,
      ...(isLocal(coordinator) ? {} : { peer: await peerAddressOf(flags, number) }),
    };
  return {
    slot,
    number,
    health,
    peer: await peerAddressOf(flags, number),
    connectTimeoutMs: connectTimeoutOf(flags),
  };
}

/** Returns null for no limit. */
function connectTimeoutOf({ connectTimeoutMs }: NetworkFlags): number | null {
  const text =
    connectTimeoutMs ?? environmentVariable('LOCKSTEP_CONNECT_TIMEOUT_MS') ?? defaultConnectTimeoutMs;
  const ms = wholeNumber('--connect-timeout-ms', text, 0, mostMs);
  return ms === 0 ? null : ms;
}

/** @param slot number of this worker on its host; undefined if it has none */
async function peerAddressOf(flags: NetworkFlags, slot: number | undefined): Promise<PeerAddressOptions> {
  const text = flags.peerPort ?? environmentVariable('LOCKSTEP_PEER_PORT');
  const host = peerHost(flags.peerHost ?? environmentVariable('LOCKSTEP_PEER_HOST'));
  if (text === undefined) return { host };
  const base = wholeNumber('--peer-port', text, 1, 65_535);
  const port = base + (slot ?? 0);
  const option = `--peer-port ${base}, worker slot ${slot ?? 0} of this host`;
  if (port > 65_535)
    throw new ConfigError(
      `Port ${port} (${option}): expected at most 65535. Choose a lower --peer-port (LOCKSTEP_PEER_PORT).`,
    );
  await requireFreePort(port, option);
  return { host, port };
}

function peerHost(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const host = text.replace(/^\[(.*)\]$/, '$1');
  if (isIP(host) !== 0 || /^[\w-]+(\.[\w-]+)*\.?$/.test(host)) return host;
  throw new ConfigError(
    `--peer-host: expected a name or an IP address without a port, got "${text}". The port is --peer-port.`,
  );
}
