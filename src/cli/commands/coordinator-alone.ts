/** A coordinator without a launcher, started by pm2 or by hand on the host that the workers connect to. */

import { backOff } from '../../launcher/back-off.js';
import type { CoordinatorStart } from '../../launcher/launch-messages.js';
import { openSocketDirectory } from '../../launcher/leadership.js';
import { removeSocketDirectory, removeSocketsOf } from '../../launcher/socket-directory.js';
import { restartCount } from '../environment/environment.js';
import { statusIfFinished } from '../job/repeated-coordinator.js';
import { readSetup } from '../options/run-setup.js';
import type { SecurityFlags } from '../options/security-options.js';
import type { TrainFlags } from '../options/train-options.js';
import { openRunHealth, type RunHealth } from '../health/run-health.js';
import { CoordinatorAddress } from '../runs/find-members.js';
import { openRun, reportNotes, type OpenRun } from '../runs/open-run.js';
import { coordinateUntilEnd } from '../runs/run-coordinator.js';
import { openReportersOf } from '../runs/run-reporters.js';

export interface CoordinatorFlags extends TrainFlags, SecurityFlags {
  readonly listen?: string;
  /** Set by the launcher, which sends everything else over IPC. */
  readonly launched?: boolean;
}

/** Resolves with the exit status. @throws ConfigError and other operational errors before the run has begun */
export async function coordinateAlone(flags: CoordinatorFlags): Promise<number> {
  const finished = await statusIfFinished(flags);
  if (finished !== undefined) return finished;
  const address = new CoordinatorAddress(flags);
  const health = await openRunHealth(flags.health, 'listening');
  try {
    await backOff(restartCount());
    const run = await openRun(flags, (past) => address.find(past));
    try {
      return await lead(flags, run, address, health);
    } finally {
      await run.close();
    }
  } finally {
    await address.close();
    await health?.close();
  }
}

async function lead(
  flags: CoordinatorFlags,
  run: OpenRun,
  address: CoordinatorAddress,
  health: RunHealth | undefined,
): Promise<number> {
  const { listen, keys } = address;
  const { out, inherited } = run;
  const setup = await readSetup(flags, run);
  const { config, checkpoint } = setup;
  const reporters = await openReportersOf(setup, flags, health, inherited !== null);
  reportNotes(run, reporters);
  const socketDirectory = openSocketDirectory(run, listen);
  try {
    const start: CoordinatorStart = {
      config,
      ...setup.identity,
      listen,
      keys: flags.keys ?? null,
      socketDirectory,
      out,
      resume: checkpoint,
      inherited,
    };
    const server = address.takeServer();
    return await coordinateUntilEnd(
      start,
      { keys, server },
      {
        emit: (event) => {
          reporters.emit(event);
          if (event.event === 'worker' && event.state === 'lost') removeSocketsOf(socketDirectory, event.pid);
        },
        onListening: (coordinator) => {
          health?.listening();
          reporters.controls.connect(() => coordinator.handle({ kind: 'checkpoint' }));
        },
      },
    );
  } finally {
    removeSocketDirectory(socketDirectory);
    await reporters.close();
  }
}
