/**
 * The pause before a crashed process tries again under pm2. Not left to pm2's own `exp_backoff_restart_delay`: with that,
 * pm2 7 lists a finished run as "waiting restart" for ever, although `stop_exit_codes` keeps it from being restarted.
 */

import { setTimeout } from 'node:timers/promises';
import { restartCount } from '../cli/options/environment.js';

const firstMs = 1_000;
const factor = 1.5;
const longestMs = 15_000;

/** 0 for the first start, then 1 s, 1.5 s, 2.25 s, ... up to 15 s. */
export function backOffMs(restarts: number): number {
  return restarts === 0 ? 0 : Math.min(longestMs, firstMs * factor ** (restarts - 1));
}

export async function backOff(): Promise<void> {
  const delayMs = backOffMs(restartCount());
  if (delayMs > 0) await setTimeout(delayMs);
}
