/** Opens the control plane and runs a coordinator until its run is over. */

import { randomUUID } from 'node:crypto';
import { Coordinator } from '../coordinator/coordinator.js';
import { controlMessageBytes } from '../shared/protocol/codec.js';
import type { RunEvent } from '../shared/run-events.js';
import { openControlServer } from '../shared/transport/zmq/control.js';
import { host } from './environment.js';
import type { CoordinatorStart } from './launch-messages.js';
import { openLedgerFile } from './reporters/ledger-file.js';

export interface RunningCoordinator {
  readonly endpoint: string;
  readonly coordinator: Coordinator;
  /** Resolves with the exit status. */
  readonly ended: Promise<number>;
}

/** @throws ConfigError when the address can't be bound. */
export async function startCoordinator(
  start: CoordinatorStart,
  emit: (event: RunEvent) => void,
): Promise<RunningCoordinator> {
  const { config, definition, socketDirectory, out, listen } = start;
  const server = await openControlServer(listen, controlMessageBytes);
  const ledger = openLedgerFile(out);
  const coordinator = new Coordinator({
    runId: randomUUID(),
    host,
    config,
    definition,
    socketDirectory,
    out,
    server,
    emit,
    record: (entries) => ledger.record(entries),
  });
  const ended = coordinator.run().finally(() => ledger.close());
  return { endpoint: server.endpoint, coordinator, ended };
}
