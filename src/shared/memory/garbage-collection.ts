/**
 * Periodic garbage collection in every thread of a process, for measurements of its memory. V8 does not account for the native memory
 * behind closed sockets and unmapped buffers, and in an idle process defers the collection of tens of megabytes for minutes. That is
 * not a leak, but would hide one.
 */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads';

/** Environment variable of every command: interval between collections in milliseconds. */
export const collectVariable = 'LOCKSTEP_COLLECT_MS';

/** Called in the main thread, before other threads are started. */
export function collectGarbageEvery(ms: number): void {
  if (!(ms >= 100)) return;
  setEnvironmentData(collectVariable, ms);
  collectGarbageAsMain();
}

/** Called in every other long-lived thread: uses the interval of the main thread. */
export function collectGarbageAsMain(): void {
  const ms = getEnvironmentData(collectVariable);
  if (typeof ms !== 'number') return;
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  setInterval(collect, ms).unref();
}
