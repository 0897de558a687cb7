/** The port of a job's coordinator, which every process of the job computes for itself. */

import { createHash } from 'node:crypto';

/**
 * Ports below those that Linux gives to outgoing connections (32768 and up), without the well-known ports of other tools that address.ts
 * lists and those of Kubernetes' nodes.
 */
const first = 20_000;
const count = 8_000;

/** Number of ports that a coordinator tries before it gives up. */
export const portAttempts = 16;

/** @param step number of the run within the job; consecutive numbers have ports that are far enough apart for `portAttempts` */
export function portOf(job: string, step = 0): number {
  const hash = createHash('sha256').update(job).digest().readUInt32BE(0);
  return first + ((hash + step * portAttempts) % count);
}
