/** A job that is started again: the earlier start may still lead the run, or may have finished it. */

import type { Placement } from '../../launcher/platforms/platform.js';
import { waitForLease } from '../../launcher/wait-for-lease.js';
import { host } from '../environment/environment.js';
import { wholeNumber } from '../options/number-options.js';
import type { TrainFlags } from '../options/train-options.js';
import { printNotice } from '../reporters/notice.js';
import { stateOfFolder } from '../runs/run-folder.js';

/** The time for which the tasks of a job wait for each other, also before the configuration is known. */
const defaultWaitMs = '120000';

/**
 * Waits until an earlier start of the job no longer leads the run. Returns the reason why this start has nothing left to do; undefined if
 * it has.
 * @throws DeadlineError if the earlier start still leads the run after `--join-timeout-ms`
 */
export async function finishedByEarlierStart(
  flags: TrainFlags,
  { restarts }: Placement,
): Promise<string | undefined> {
  const { out } = flags;
  if (restarts === 0 || out === undefined) return undefined;
  await waitForLease({
    out,
    host,
    limitMs: waitMsOf(flags),
    onHolder: (line) => printNotice(line, 'info', flags),
  });
  if ((await stateOfFolder(out)).kind !== 'finished') return undefined;
  return `The run in ${out} is finished already.`;
}

/** The value of `--join-timeout-ms`. @throws ConfigError */
export function waitMsOf({ joinTimeoutMs = defaultWaitMs }: TrainFlags): number {
  return wholeNumber('--join-timeout-ms', `${joinTimeoutMs as number | string}`, 1, 86_400_000);
}
