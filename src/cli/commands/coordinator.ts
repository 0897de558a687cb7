/**
 * `lockstep coordinator`: coordinates a run. Started by the launcher, by pm2, or by hand on the host that others connect to. Each way is
 * imported on demand, because a launched coordinator needs neither reporters nor the loader of definitions.
 */

import type { CoordinatorFlags } from './coordinator-alone.js';

/** Resolves with the exit status. @throws ConfigError and other operational errors before the run has begun */
export async function coordinate(flags: CoordinatorFlags): Promise<number> {
  if (flags.launched === true) return (await import('./launched-coordinator.js')).coordinateLaunched();
  return (await import('./coordinator-alone.js')).coordinateAlone(flags);
}
