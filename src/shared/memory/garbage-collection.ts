/**
 * For watching what a process holds: each of its threads collects its garbage so often. V8 doesn't see how much native memory hangs
 * on a closed socket or an unmapped buffer, and in a quiet process lets tens of megabytes of them wait for minutes; that is no
 * leak, and hides one.
 */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads';

/** Environment variable of every command: milliseconds. */
export const collectVariable = 'LOCKSTEP_COLLECT_MS';

/** In the main thread, before others are started. */
export function collectGarbageEvery(ms: number): void {
  if (!(ms >= 100)) return;
  setEnvironmentData(collectVariable, ms);
  collectGarbageAsMain();
}

/** In every other thread that lasts. */
export function collectGarbageAsMain(): void {
  const ms = getEnvironmentData(collectVariable);
  if (typeof ms !== 'number') return;
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  setInterval(collect, ms).unref();
}
