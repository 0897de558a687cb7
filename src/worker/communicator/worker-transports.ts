/**
 * Opens the transports of a worker: the control client, and later the data plane. With `linkFaults`, wrappers around both can inject
 * faults. Without `linkFaults` there are no wrappers.
 */

import { writeFaultRecord } from '../../shared/faults/fault-request.js';
import { controlMessageBytes } from '../../shared/protocol/codec.js';
import { senderOf } from '../../shared/protocol/frame.js';
import type { ClientKeys } from '../../shared/security/curve-key.js';
import type { ControlClient, DataPlane } from '../../shared/transport/transport.js';
import { openControlClient } from '../../shared/transport/zmq/control.js';
import { openDataPlane } from '../../shared/transport/zmq/data-plane.js';
import { localAddressTowards } from '../../shared/transport/zmq/local-address.js';
import type { InjectLinkFault } from '../faults/fault-injector.js';
import { FaultyControlClient, FaultyDataPlane } from '../faults/faulty-transport.js';
import type { DataPlaneRequest } from './communicator.js';

export interface WorkerTransportOptions {
  /** The coordinator's endpoint. */
  readonly coordinator: string;
  /** Null: neither plane uses CURVE. */
  readonly keys: ClientKeys | null;
  /** True if link faults can be injected; for tests and `lockstep chaos`. */
  readonly linkFaults: boolean;
}

export interface WorkerTransports {
  readonly control: ControlClient;
  openDataPlane(request: Pick<DataPlaneRequest, 'socketDirectory' | 'maxFrameBytes'>): Promise<DataPlane>;
  /** Undefined without `linkFaults`. */
  readonly injectLinkFault: InjectLinkFault | undefined;
}

/** @throws ConfigError when other hosts can reach the coordinator's address and there are no keys */
export function openWorkerTransports(options: WorkerTransportOptions): WorkerTransports {
  const { coordinator, keys, linkFaults } = options;
  const client = openControlClient(coordinator, controlMessageBytes, keys);
  const open: WorkerTransports['openDataPlane'] = async ({ socketDirectory, maxFrameBytes }) => {
    const host = await localAddressTowards(coordinator);
    return openDataPlane({ socketDirectory, maxFrameBytes, host, secure: keys !== null });
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
