/** `lockstep coordinator`: started by the launcher, by pm2 or by hand on the host that others connect to. */

import { isLocal } from '../../shared/security/endpoints.js';
import { backOff } from '../../launcher/back-off.js';
import { leaveSignalsToLauncher, onLauncherGone } from '../../launcher/child-process.js';
import { restartCount } from '../options/environment.js';
import { describeError, exitStatus, statusOf } from '../exit.js';
import { inheritFrom } from '../../launcher/inheritance.js';
import type { CoordinatorStart, FromCoordinator, ToCoordinator } from '../../launcher/launch-messages.js';
import { openWatchedReporters } from '../reporters/observers.js';
import { newestRun } from '../runs/resume.js';
import { startCoordinator } from '../../launcher/run-coordinator.js';
import { dieOf, takeLease } from '../../launcher/lease.js';
import { coordinatorKeys } from '../security/security.js';
import type { SecurityFlags } from '../options/security-options.js';
import {
  makeSocketDirectory,
  removeSocketDirectory,
  removeSocketsOf,
} from '../../launcher/socket-directory.js';
import { checkpointRefOf, readSetup, reporting, type TrainFlags } from '../options/train-options.js';

/** A lease that isn't kept fresh is free before. */
const predecessorMs = 15_000;

export interface CoordinatorFlags extends TrainFlags, SecurityFlags {
  readonly listen: string;
  /** Set by the launcher, which sends the rest over IPC. */
  readonly launched?: boolean;
}

export async function coordinate(flags: CoordinatorFlags): Promise<number> {
  return flags.launched === true ? launched() : standalone(flags);
}

async function standalone(flags: CoordinatorFlags): Promise<number> {
  const keys = coordinatorKeys(flags.listen, flags);
  await backOff();
  const { config, definition, out: fresh, resume: found } = await readSetup(flags);
  // Started again by pm2: the workers of the run that it led may still be there.
  const before = restartCount() > 0 ? (flags.out === undefined ? await newestRun() : fresh) : undefined;
  const inherited = before === undefined ? null : await inheritFrom(before);
  const out = inherited === null ? fresh : (before ?? fresh);
  const resume = checkpointRefOf(found);
  // Its predecessor may hang: then the lease is free after a while.
  const lease = await takeLease(out, dieOf, inherited === null ? 0 : predecessorMs);
  const reporters = await openWatchedReporters({
    out,
    ...reporting(flags),
    resume: found,
    append: inherited !== null,
    callbacks: definition.callbacks,
  });
  const socketDirectory = isLocal(flags.listen) ? makeSocketDirectory() : null;
  try {
    const { path, sha256 } = definition;
    const start = {
      config,
      definition: { path, sha256 },
      listen: flags.listen,
      keys: flags.keys ?? null,
      socketDirectory,
      out,
      resume,
      inherited,
    };
    const { coordinator, ended } = await startCoordinator(start, keys, (event) => {
      reporters.emit(event);
      if (event.event === 'worker' && event.state === 'lost') removeSocketsOf(socketDirectory, event.pid);
    });
    const interrupt = (signal: string): void => coordinator.handle({ kind: 'interrupt', signal });
    process.once('SIGINT', interrupt);
    process.once('SIGTERM', interrupt);
    return await ended;
  } finally {
    removeSocketDirectory(socketDirectory);
    await reporters.close();
    await lease.release();
  }
}

async function launched(): Promise<number> {
  let posted: Promise<unknown> = Promise.resolve();
  const post = (message: FromCoordinator): void => {
    if (process.connected)
      posted = new Promise((sent) => process.send?.(message, undefined, undefined, sent));
  };
  leaveSignalsToLauncher();
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
    const running = await startCoordinator(start, keys, (event) => post({ kind: 'event', event }));
    handle = (message) => {
      if (message.kind === 'exited') running.coordinator.handle(message);
      if (message.kind === 'interrupt') running.coordinator.handle(message);
    };
    pending.forEach(handle);
    onLauncherGone(() =>
      running.coordinator.handle({ kind: 'interrupt', signal: 'the end of its launcher' }),
    );
    post({ kind: 'listening', endpoint: running.endpoint });
    const alive = setInterval(() => post({ kind: 'alive' }), start.config.heartbeatMs);
    const status = await running.ended.finally(() => clearInterval(alive));
    return process.connected ? status : exitStatus.failed;
  } catch (error) {
    post({ kind: 'refused', message: describeError(error), status: statusOf(error) });
    return statusOf(error);
  } finally {
    removeSocketDirectory(start.socketDirectory);
    await posted;
  }
}
