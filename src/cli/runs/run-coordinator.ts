/** Opens the control plane and runs a coordinator until its run is over. */

import { randomUUID } from 'node:crypto';
import { Coordinator } from '../../coordinator/coordinator.js';
import type { CoordinatorStart } from '../../launcher/launch-messages.js';
import { writeLeadership } from '../../launcher/leadership.js';
import { stopSignalsOfProcess } from '../../launcher/stop-signals.js';
import { codeFiles } from '../../shared/identity/code-files.js';
import { describeDifference, firstDifference, type Fingerprint } from '../../shared/identity/fingerprint.js';
import { controlMessageBytes } from '../../shared/protocol/codec.js';
import type { RunEvent } from '../../shared/runs/run-events.js';
import type { ServerKeys } from '../../shared/security/curve-key.js';
import type { ControlServer } from '../../shared/transport/transport.js';
import { openControlServer } from '../../shared/transport/zmq/control-server.js';
import { host } from '../environment/environment.js';
import { openRunFiles } from './run-files.js';

export interface RunningCoordinator {
  readonly endpoint: string;
  readonly coordinator: Coordinator;
  /** Resolves with the exit status. */
  readonly ended: Promise<number>;
}

export interface ControlPlane {
  readonly keys: ServerKeys | null;
  /** The server, if it has been opened before. */
  readonly server?: ControlServer | undefined;
}

export interface CoordinatorListener {
  emit(event: RunEvent): void;
  /** Called when workers can join. */
  onListening(coordinator: Coordinator): void;
}

/** @throws ConfigError if the address cannot be bound, or if a file cannot be written */
export async function startCoordinator(
  start: CoordinatorStart,
  { keys, server: opened }: ControlPlane,
  emit: (event: RunEvent) => void,
): Promise<RunningCoordinator> {
  const { config, definition, fingerprint, socketDirectory, out, resume, inherited, listen } = start;
  const mode = inherited === null ? (resume === null ? 'new' : 'resume') : 'takeover';
  const files = await openRunFiles({ out, trace: config.trace, mode }, emit);
  if (inherited !== null) warnOfOtherCode(fingerprint, emit);
  const server = opened ?? (await openControlServer(listen, controlMessageBytes, keys));
  const runId = inherited?.runId ?? randomUUID();
  const { endpoint } = server;
  await writeLeadership(out, { runId, listen, endpoint, socketDirectory, keys: start.keys });
  const coordinator = new Coordinator({
    runId,
    host,
    config,
    definition,
    fingerprint,
    socketDirectory,
    out,
    resume,
    inherited,
    server,
    ...files.sinks,
  });
  const ended = coordinator.run().finally(() => files.close());
  return { endpoint, coordinator, ended };
}

/**
 * Starts a coordinator that this process's stop signals interrupt, also while it starts. Resolves with the exit status.
 * @throws ConfigError if the address cannot be bound, or if a file cannot be written
 */
export function coordinateUntilEnd(
  start: CoordinatorStart,
  plane: ControlPlane,
  { emit, onListening }: CoordinatorListener,
): Promise<number> {
  const starting = startCoordinator(start, plane, emit);
  return stopSignalsOfProcess().during(
    (request) => {
      // An error of the start is thrown by the wait below.
      starting.then(
        ({ coordinator }) => coordinator.handle({ kind: 'interrupt', ...request }),
        () => undefined,
      );
    },
    async () => {
      const { ended, coordinator } = await starting;
      onListening(coordinator);
      return ended;
    },
  );
}

/** A coordinator that replaces another one runs the code that is installed now. */
function warnOfOtherCode(fingerprint: Partial<Fingerprint>, emit: (event: RunEvent) => void): void {
  const difference = firstDifference(fingerprint, { code: codeFiles() }, ['code']);
  if (!difference) return;
  const message =
    `Lockstep was changed during the run: ${describeDifference(difference, 'the new coordinator')}. ` +
    'Workers that join with the changed code are refused.';
  emit({ event: 'warning', message });
}
