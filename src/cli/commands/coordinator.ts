/** `lockstep coordinator`: coordinates a run. Started by the launcher, by pm2, or by hand on the host that others connect to. */

import { backOff } from '../../launcher/back-off.js';
import type { CoordinatorStart } from '../../launcher/launch-messages.js';
import {
  makeSocketDirectory,
  removeSocketDirectory,
  removeSocketsOf,
} from '../../launcher/socket-directory.js';
import type { ServerKeys } from '../../shared/security/curve-key.js';
import { isLocal } from '../../shared/security/endpoints.js';
import { coordinatorEndpoint, restartCount } from '../environment/environment.js';
import { readSetup } from '../options/run-setup.js';
import type { SecurityFlags } from '../options/security-options.js';
import type { TrainFlags } from '../options/train-options.js';
import { openRunHealth, type RunHealth } from '../health/run-health.js';
import { openRun, type OpenRun } from '../runs/open-run.js';
import { coordinateUntilEnd } from '../runs/run-coordinator.js';
import { openReportersOf } from '../runs/run-reporters.js';
import { coordinatorKeys, warnOfOpenAddress } from '../security/security.js';
import { coordinateLaunched } from './launched-coordinator.js';

export interface CoordinatorFlags extends TrainFlags, SecurityFlags {
  readonly listen?: string;
  /** Set by the launcher, which sends everything else over IPC. */
  readonly launched?: boolean;
}

/** Resolves with the exit status. @throws ConfigError and other operational errors before the run has begun */
export async function coordinate(flags: CoordinatorFlags): Promise<number> {
  if (flags.launched === true) return coordinateLaunched();
  const listen = coordinatorEndpoint(flags.listen);
  const keys = coordinatorKeys(listen, flags);
  warnOfOpenAddress(listen, keys);
  const health = await openRunHealth(flags.health, 'listening');
  try {
    await backOff(restartCount());
    const run = await openRun(flags, restartCount());
    try {
      return await lead({ ...flags, listen }, run, keys, health);
    } finally {
      await run.close();
    }
  } finally {
    await health?.close();
  }
}

async function lead(
  flags: CoordinatorFlags & { readonly listen: string },
  run: OpenRun,
  keys: ServerKeys | null,
  health: RunHealth | undefined,
): Promise<number> {
  const { out, inherited } = run;
  const setup = await readSetup(flags, run);
  const { config, checkpoint } = setup;
  const reporters = await openReportersOf(setup, flags, health, inherited !== null);
  run.notes.forEach((note) => reporters.printLine(note));
  const socketDirectory = isLocal(flags.listen) ? makeSocketDirectory() : null;
  try {
    const start: CoordinatorStart = {
      config,
      ...setup.identity,
      listen: flags.listen,
      keys: flags.keys ?? null,
      socketDirectory,
      out,
      resume: checkpoint,
      inherited,
    };
    return await coordinateUntilEnd(start, keys, {
      emit: (event) => {
        reporters.emit(event);
        if (event.event === 'worker' && event.state === 'lost') removeSocketsOf(socketDirectory, event.pid);
      },
      onListening: () => health?.listening(),
    });
  } finally {
    removeSocketDirectory(socketDirectory);
    await reporters.close();
  }
}
