/** The coordinator as a child of the launcher: everything that it needs, and everything that it reports, goes over IPC. */

import { onLauncherGone } from '../../launcher/child-process.js';
import type { CoordinatorStart, FromCoordinator, ToCoordinator } from '../../launcher/launch-messages.js';
import { removeSocketDirectory } from '../../launcher/socket-directory.js';
import { exitStatus } from '../../shared/exit-status.js';
import { describeError, statusOf } from '../exit.js';
import { startCoordinator } from '../runs/run-coordinator.js';
import { coordinatorKeys } from '../security/security.js';

/** Resolves with the exit status. */
export async function coordinateLaunched(): Promise<number> {
  let posted: Promise<unknown> = Promise.resolve();
  const post = (message: FromCoordinator): void => {
    if (process.connected)
      posted = new Promise((sent) => process.send?.(message, undefined, undefined, sent));
  };
  // Messages that arrive before the coordinator has started.
  const pending: ToCoordinator[] = [];
  let handle = (message: ToCoordinator): void => void pending.push(message);
  const start = await new Promise<CoordinatorStart>((received) => {
    process.on('message', (message: ToCoordinator) => {
      if (message.kind === 'start') received(message.start);
      else handle(message);
    });
  });
  try {
    const { keys: directory, listen } = start;
    const keys = directory === null ? null : coordinatorKeys(listen, { keys: directory });
    const running = await startCoordinator(start, { keys }, (event) => post({ kind: 'event', event }));
    handle = (message) => {
      if (message.kind !== 'start') running.coordinator.handle(message);
    };
    pending.forEach(handle);
    onLauncherGone(() =>
      running.coordinator.handle({ kind: 'interrupt', signal: 'the end of its launcher', atOnce: false }),
    );
    post({ kind: 'listening', endpoint: running.endpoint });
    const heartbeat = setInterval(() => post({ kind: 'heartbeat' }), start.config.heartbeatMs);
    const status = await running.ended.finally(() => clearInterval(heartbeat));
    return process.connected ? status : exitStatus.failed;
  } catch (error) {
    post({ kind: 'startFailed', message: describeError(error), status: statusOf(error) });
    return statusOf(error);
  } finally {
    removeSocketDirectory(start.socketDirectory);
    await posted;
  }
}
