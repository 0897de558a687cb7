/**
 * `lockstep train`: the one command for one machine and for every scheduler. In a job with several tasks, each task is a worker, and task 0
 * coordinates them as well.
 */

import { isPreempted, requeue } from '../../launcher/job/requeue.js';
import type { LauncherChoice } from '../../launcher/platforms/detect.js';
import type { Placement } from '../../launcher/platforms/platform.js';
import { exitStatus, statusOfStop } from '../../shared/exit-status.js';
import { placementOf } from '../environment/environment.js';
import { machine } from '../environment/machine.js';
import { finishedByEarlierStart } from '../job/earlier-start.js';
import { describePlacement, flagsInJob } from '../job/job-flags.js';
import { withJobLead, type JobLead } from '../job/lead-job.js';
import { printNotice } from '../reporters/notice.js';
import { trainSupervised, type SupervisedFlags } from './train-supervised.js';

export interface TrainCommandFlags extends SupervisedFlags {
  readonly launcher?: LauncherChoice;
  /** True to save and stop when the process that started this one ends. */
  readonly stopWithParent?: boolean;
}

/** Resolves with the exit status. @throws ConfigError and other operational errors before any process is started */
export async function train(given: TrainCommandFlags): Promise<number> {
  // The stop signal's own way, so that a run of a sweep that was killed is saved and can be continued.
  if (given.stopWithParent === true) process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
  const placement = placementOf(given.launcher);
  const flags = flagsInJob(given, placement);
  const line = describePlacement(placement, flags.out);
  if (placement.role === 'worker') {
    // Each pod has a log of its own. On other platforms the output of all tasks is one text.
    if (line !== undefined && placement.launcher === 'kubernetes') printNotice(line, 'info', flags);
    return (await import('../job/join-job.js')).joinJob(flags, placement);
  }
  if (line !== undefined) printNotice(line, 'info', flags);
  if (placement.advice !== null) printNotice(placement.advice, 'warn', flags);
  const status =
    placement.role === 'coordinator'
      ? await withJobLead(placement, flags, (lead) => trainOrSkip(flags, placement, lead))
      : await trainOrSkip(flags, placement, undefined);
  if (placement.requeue !== null && (await isTakenAway(status, placement.requeue))) {
    const { isRequeued, message } = await requeue(placement.requeue);
    printNotice(message, isRequeued ? 'info' : 'warn', flags);
  }
  return status;
}

/** Returns true if the scheduler has stopped the run: by its notice, or by SIGTERM, which a person may send as well. */
async function isTakenAway(status: number, job: string): Promise<boolean> {
  return status === exitStatus.saved || (status === statusOfStop('SIGTERM') && (await isPreempted(job)));
}

/** A job that is started again after its run has finished has nothing left to do. */
async function trainOrSkip(
  flags: SupervisedFlags,
  placement: Placement,
  lead: JobLead | undefined,
): Promise<number> {
  const reason = await finishedByEarlierStart(flags, placement);
  if (reason === undefined) return trainSupervised(flags, (devices) => machine(devices, placement), lead);
  printNotice(reason, 'info', flags);
  await lead?.end(exitStatus.done, reason);
  return exitStatus.done;
}
