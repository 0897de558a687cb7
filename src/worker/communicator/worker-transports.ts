/**
 * Opens the transports of a worker: the control client, and later the data plane. With `linkFaults`, wrappers around both can inject
 * faults. Without `linkFaults` there are no such wrappers.
 */

import { writeSync } from 'node:fs';
import { writeFaultRecord } from '../../shared/faults/fault-request.js';
import { controlMessageBytes } from '../../shared/protocol/codec.js';
import { senderOf } from '../../shared/protocol/frame.js';
import type { ClientKeys } from '../../shared/security/curve-key.js';
import type { ControlClient, DataPlane } from '../../shared/transport/transport.js';
import { openControlClient } from '../../shared/transport/zmq/control-client.js';
import { openDataPlane } from '../../shared/transport/zmq/data-plane.js';
import { localAddressTowards } from '../../shared/transport/zmq/local-address.js';
import type { InjectLinkFault } from '../faults/fault-injector.js';
import { FaultyControlClient, FaultyDataPlane } from '../faults/faulty-transport.js';
import type { DataPlaneRequest } from './communicator.js';
import { PatientControlClient } from './patient-control.js';

/** The address under which the other workers reach this one. */
export interface PeerAddressOptions {
  /** Default: the system chooses a port. */
  readonly port?: number | undefined;
  /** Default: the address from which this worker reaches the coordinator. */
  readonly host?: string | undefined;
}

export interface WorkerTransportOptions {
  /** The coordinator's endpoint. */
  readonly coordinator: string;
  /** Null: neither plane uses CURVE. */
  readonly keys: ClientKeys | null;
  /** True if link faults can be injected; for tests and `lockstep chaos`. */
  readonly linkFaults: boolean;
  readonly peer?: PeerAddressOptions | undefined;
  /** Time to wait for the coordinator; null: without limit; undefined: a launcher watches over the coordinator. */
  readonly connectTimeoutMs?: number | null | undefined;
}

export interface WorkerTransports {
  readonly control: ControlClient;
  openDataPlane(
    request: Pick<DataPlaneRequest, 'socketDirectory' | 'maxFrameBytes' | 'heartbeatMs'>,
  ): Promise<DataPlane>;
  /** Undefined without `linkFaults`. */
  readonly injectLinkFault: InjectLinkFault | undefined;
}

/**
 * @param print prints a line for the user
 * @throws ConfigError when other hosts can reach the coordinator's address and there are no keys
 */
export function openWorkerTransports(
  options: WorkerTransportOptions,
  print: (line: string) => void = printLine,
): WorkerTransports {
  const { coordinator, keys, linkFaults, peer = {}, connectTimeoutMs: limitMs } = options;
  const plain = openControlClient(coordinator, controlMessageBytes, keys);
  const patient =
    limitMs === undefined
      ? undefined
      : new PatientControlClient(plain, { endpoint: coordinator, limitMs, print });
  const client = patient ?? plain;
  const open: WorkerTransports['openDataPlane'] = async ({ socketDirectory, maxFrameBytes, heartbeatMs }) => {
    patient?.expectEvery(heartbeatMs);
    if (socketDirectory !== null && (peer.port ?? peer.host) !== undefined)
      print(
        'Warning: --peer-port and --peer-host have no effect: the workers of this run meet at sockets in a folder.',
      );
    const local = await localAddressTowards(client.remoteEndpoint ?? coordinator);
    const place = { ...local, port: peer.port, advertisedHost: peer.host };
    return openDataPlane({ socketDirectory, maxFrameBytes, ...place, secure: keys !== null });
  };
  return linkFaults
    ? faultyTransports(client, open)
    : { control: client, openDataPlane: open, injectLinkFault: undefined };
}

function faultyTransports(client: ControlClient, open: WorkerTransports['openDataPlane']): WorkerTransports {
  const control = new FaultyControlClient(client);
  let data: FaultyDataPlane | undefined;
  return {
    control,
    openDataPlane: async (request) => (data = new FaultyDataPlane(await open(request), senderOf)),
    injectLinkFault: ({ folder, id, point, step, rank, link, ...fault }) => {
      const onHit = (): void =>
        writeFaultRecord(folder, id, { atMs: Date.now(), pid: process.pid, point, step, rank });
      if (link === 'coordinator') control.inject(fault, onHit);
      else data?.inject(link, fault, onHit);
    },
  };
}

/** Directly, since the main thread may be blocked. */
function printLine(line: string): void {
  try {
    writeSync(2, `${line}\n`);
  } catch {
    // Nobody reads it, or not fast enough.
  }
}
