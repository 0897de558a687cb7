/**
 * The pause before a crashed process tries again under pm2. pm2's own `exp_backoff_restart_delay` is not used: with it, pm2 7
 * lists a finished run as "waiting restart" for ever, although `stop_exit_codes` prevents the restart.
 */

import { setTimeout } from 'node:timers/promises';

const firstMs = 1_000;
const factor = 1.5;
const longestMs = 15_000;

/** Returns 0 for the first start, then 1 s, 1.5 s, 2.25 s, and so on up to 15 s. */
export function backOffMs(restarts: number): number {
  return restarts === 0 ? 0 : Math.min(longestMs, firstMs * factor ** (restarts - 1));
}

/** @param restarts number of times that the process has been restarted */
export async function backOff(restarts: number): Promise<void> {
  const delayMs = backOffMs(restarts);
  if (delayMs > 0) await setTimeout(delayMs);
}
