/** `lockstep train`: trains on the workers of this machine, under a launcher or in one process. */

import { resolve } from 'node:path';
import { openSocketDirectory } from '../../launcher/leadership.js';
import { RunSupervisor } from '../../launcher/run-supervisor.js';
import type { FaultOptions } from '../../worker/faults/fault-options.js';
import { faultArguments, faultOptionsOf, type FaultFlags } from '../options/fault-options.js';
import { readSetup, type RunSetup } from '../options/run-setup.js';
import type { SecurityFlags } from '../options/security-options.js';
import type { TrainFlags } from '../options/train-options.js';
import { openRunHealth, type RunHealth } from '../health/run-health.js';
import type { Reporters } from '../reporters/reporters.js';
import { findMembersOfTrain } from '../runs/find-members.js';
import { openRun, reportNotes, type OpenRun } from '../runs/open-run.js';
import { openReportersOf } from '../runs/run-reporters.js';
import { withKeys } from '../security/security.js';
import { trainInOneProcess } from './single-process.js';

export interface TrainCommandFlags extends TrainFlags, SecurityFlags, FaultFlags {
  readonly singleProcess?: boolean;
  /** True to save and stop when the process that started this one ends. */
  readonly stopWithParent?: boolean;
}

/** Resolves with the exit status. @throws ConfigError and other operational errors before any process is started */
export async function train(flags: TrainCommandFlags): Promise<number> {
  // The stop signal's own way, so that a run of a sweep that was killed is saved and can be continued.
  if (flags.stopWithParent === true) process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
  const health = await openRunHealth(flags.health, 'training');
  try {
    return await trainObserved(flags, health);
  } finally {
    await health?.close();
  }
}

async function trainObserved(flags: TrainCommandFlags, health: RunHealth | undefined): Promise<number> {
  const faults = faultOptionsOf(flags);
  const givenKeys = flags.keys === undefined ? null : resolve(flags.keys);
  const run = await openRun(
    flags,
    flags.singleProcess === true ? undefined : (past) => findMembersOfTrain(past, givenKeys),
  );
  try {
    const setup = await readSetup(flags, run);
    return await withKeys(flags, async (keys) => {
      const reporters = await openReportersOf(setup, flags, health, run.inherited !== null);
      try {
        reportNotes(run, reporters);
        return flags.singleProcess === true
          ? await trainInOneProcess(setup, reporters, faults)
          : await trainInChildren(setup, run, reporters, keys, faults);
      } finally {
        await reporters.close();
      }
    });
  } finally {
    await run.close();
  }
}

function trainInChildren(
  setup: RunSetup,
  run: OpenRun,
  reporters: Reporters,
  keys: string | null,
  faults: FaultOptions,
): Promise<number> {
  const { config, gpus, out } = setup;
  const resume = setup.checkpoint;
  return new RunSupervisor(
    {
      config,
      ...setup.identity,
      gpus,
      keys,
      out,
      resume,
      inherited: run.inherited,
      socketDirectory: openSocketDirectory(run),
      workerArguments: faultArguments(faults),
    },
    reporters,
  ).ended();
}
