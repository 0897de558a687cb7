/** `lockstep coordinator`: coordinates a run. Started by the launcher, by pm2, or by hand on the host that others connect to. */

import { backOff } from '../../launcher/back-off.js';
import { readInheritedState } from '../../launcher/inherited-state.js';
import type { CoordinatorStart } from '../../launcher/launch-messages.js';
import { takeLease } from '../../launcher/lease.js';
import {
  makeSocketDirectory,
  removeSocketDirectory,
  removeSocketsOf,
} from '../../launcher/socket-directory.js';
import { isLocal } from '../../shared/security/endpoints.js';
import { host, restartCount } from '../environment/environment.js';
import { checkpointRefOf, readSetup, type RunSetup } from '../options/run-setup.js';
import type { SecurityFlags } from '../options/security-options.js';
import { outputFlags, type TrainFlags } from '../options/train-options.js';
import { openRunReporters } from '../reporters/observers.js';
import { newestRun } from '../runs/resume-checkpoint.js';
import { startCoordinator } from '../runs/run-coordinator.js';
import { coordinatorKeys } from '../security/security.js';
import { coordinateLaunched } from './launched-coordinator.js';

/** Time to wait for the lease of a coordinator that hangs; longer than the lease lasts without renewal. */
const hungCoordinatorMs = 15_000;

export interface CoordinatorFlags extends TrainFlags, SecurityFlags {
  readonly listen: string;
  /** Set by the launcher, which sends everything else over IPC. */
  readonly launched?: boolean;
}

/** Resolves with the exit status. @throws ConfigError and other operational errors before the run has begun */
export async function coordinate(flags: CoordinatorFlags): Promise<number> {
  if (flags.launched === true) return coordinateLaunched();
  const keys = coordinatorKeys(flags.listen, flags);
  await backOff(restartCount());
  const setup = await readSetup(flags);
  const { out, inherited } = await findRun(setup, flags);
  const lease = await takeLease({ out, host, waitMs: inherited === null ? 0 : hungCoordinatorMs });
  const reporters = await openRunReporters({
    out,
    resume: setup.resume,
    append: inherited !== null,
    callbacks: setup.definition.callbacks,
    ...outputFlags(flags),
  });
  const socketDirectory = isLocal(flags.listen) ? makeSocketDirectory() : null;
  try {
    const { config, definition, resume } = setup;
    const start: CoordinatorStart = {
      config,
      definition: { path: definition.path, sha256: definition.sha256 },
      listen: flags.listen,
      keys: flags.keys ?? null,
      socketDirectory,
      out,
      resume: checkpointRefOf(resume),
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

/** After a restart by pm2, the workers of the run that was coordinated before may still be there: that run is continued. */
async function findRun(
  { out }: RunSetup,
  flags: CoordinatorFlags,
): Promise<Pick<CoordinatorStart, 'out' | 'inherited'>> {
  if (restartCount() === 0) return { out, inherited: null };
  const earlier = flags.out === undefined ? await newestRun() : out;
  const inherited = earlier === undefined ? null : await readInheritedState(earlier);
  return { out: inherited === null ? out : (earlier ?? out), inherited };
}
