/** Trains on the workers of this machine, or on those of a job, under a launcher or in one process. */

import { resolve } from 'node:path';
import { openSocketDirectory } from '../../launcher/leadership.js';
import { faultOptionsOf, type FaultFlags } from '../options/fault-options.js';
import { readSetup } from '../options/run-setup.js';
import type { SecurityFlags } from '../options/security-options.js';
import type { TrainFlags } from '../options/train-options.js';
import { openRunHealth, type RunHealth } from '../health/run-health.js';
import type { JobAddress, JobLead } from '../job/lead-job.js';
import { findMembersOfTrain } from '../runs/find-members.js';
import { openRun, reportNotes } from '../runs/open-run.js';
import { openReportersOf } from '../runs/run-reporters.js';
import { withKeys } from '../security/security.js';
import { trainInChildren } from './train-in-children.js';

export interface SupervisedFlags extends TrainFlags, SecurityFlags, FaultFlags {
  readonly singleProcess?: boolean;
}

/** Returns the hardware of this process. */
type FindMachine = Parameters<typeof readSetup>[2];

/**
 * Resolves with the exit status.
 * @param lead of task 0 of a job with several tasks; undefined otherwise
 * @throws ConfigError and other operational errors before any process is started
 */
export async function trainSupervised(
  flags: SupervisedFlags,
  findMachine: FindMachine,
  lead: JobLead | undefined,
): Promise<number> {
  const health = await openRunHealth(flags.health, 'training');
  try {
    return await trainObserved(flags, findMachine, lead, health);
  } finally {
    await health?.close();
  }
}

async function trainObserved(
  flags: SupervisedFlags,
  findMachine: FindMachine,
  lead: JobLead | undefined,
  health: RunHealth | undefined,
): Promise<number> {
  const faults = faultOptionsOf(flags);
  const givenKeys = flags.keys === undefined ? null : resolve(flags.keys);
  // The other tasks of a job end with task 0, so no worker of an earlier start is alive.
  const canTakeOver = flags.singleProcess !== true && lead === undefined;
  const run = await openRun(flags, canTakeOver ? (past) => findMembersOfTrain(past, givenKeys) : undefined);
  try {
    const setup = await readSetup(flags, run, findMachine);
    const addressed = (work: (address: JobAddress) => Promise<number>): Promise<number> =>
      lead === undefined
        ? withKeys(flags, (keys) =>
            work({ keys, task: undefined, socketDirectory: () => openSocketDirectory(run) }),
          )
        : lead.withAddress(work);
    return await addressed(async (address) => {
      const reporters = await openReportersOf(setup, flags, health, run.inherited !== null);
      try {
        reportNotes(run, reporters);
        return flags.singleProcess === true
          ? await (await import('./single-process.js')).trainInOneProcess(setup, reporters, faults)
          : await trainInChildren(setup, run, reporters, address, faults);
      } finally {
        await reporters.close();
      }
    });
  } finally {
    await run.close();
  }
}
