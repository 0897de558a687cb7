/**
 * Waits for the end of the process that leads a run. A scheduler starts a job again when it takes a node for lost, and the earlier
 * start may still run there: its network is cut while the file system of the run's folder is not, or it is still saving. As long as it
 * renews the lease, it alone leads the run and commits steps.
 */

import { existsSync } from 'node:fs';
import { ConfigError, DeadlineError } from '../shared/errors.js';
import { leasePath, takeLease } from './lease.js';

export interface LeaseWait {
  /** Folder of the run. */
  readonly out: string;
  readonly host: string;
  readonly limitMs: number;
  /** Called once, if there is a holder, with a line that names it. */
  readonly onHolder: (line: string) => void;
}

const retryMs = 500;

/**
 * Returns at once if no other process leads the run.
 * @throws DeadlineError if another process still leads it after `limitMs`
 * @throws ConfigError if the folder cannot be written
 */
export async function waitForLease({ out, host, limitMs, onHolder }: LeaseWait): Promise<void> {
  const endMs = performance.now() + limitMs;
  let isFirst = true;
  while (existsSync(leasePath(out))) {
    try {
      const lease = await takeLease({ out, host });
      await lease.release();
      return;
    } catch (error) {
      if (!(error instanceof ConfigError) || error.fields['isLed'] !== true) throw error;
      if (performance.now() >= endMs)
        throw new DeadlineError(
          `${error.message} An earlier start of this job has not ended within ${Math.round(limitMs / 1000)} s (--join-timeout-ms).`,
          { out },
          error,
        );
      if (isFirst) onHolder(error.message);
      isFirst = false;
      await new Promise((resolve) => setTimeout(resolve, retryMs));
    }
  }
}
