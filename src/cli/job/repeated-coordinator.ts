/** `lockstep coordinator` in a scheduler's job that is started again. */

import { exitStatus } from '../../shared/exit-status.js';
import { placementOf } from '../environment/environment.js';
import type { TrainFlags } from '../options/train-options.js';
import { printNotice } from '../reporters/notice.js';
import { finishedByEarlierStart } from './earlier-start.js';
import { refuseFreshInPod } from './job-flags.js';

/**
 * Returns the exit status of a coordinator that has nothing left to do; undefined if it has.
 * @throws ConfigError for `--fresh` in a pod
 * @throws DeadlineError if an earlier start of the job still leads the run
 */
export async function statusIfFinished(flags: TrainFlags): Promise<number | undefined> {
  const placement = placementOf(undefined);
  refuseFreshInPod(flags, placement);
  const reason = await finishedByEarlierStart(flags, placement);
  if (reason === undefined) return undefined;
  printNotice(reason, 'info', flags);
  return exitStatus.done;
}
