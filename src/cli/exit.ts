/** How a command ends: exit status and the one message that a person gets. */

import { OperationalError } from '../shared/errors.js';

export const exitStatus = { done: 0, failed: 1, usage: 2, interrupted: 130 } as const;

/** Status for an error before a run has begun. */
export function statusOf(error: unknown): number {
  if (!(error instanceof OperationalError)) return exitStatus.failed;
  switch (error.code) {
    case 'CONFIG':
    case 'DATA':
    case 'ENGINE':
    case 'MODEL':
    case 'LAYOUT_MISMATCH':
    case 'CHECKPOINT':
      return exitStatus.usage;
    case 'INTERRUPTED':
      return exitStatus.interrupted;
    case 'PROTOCOL':
    case 'STALE_GENERATION':
    case 'PEER_LOST':
    case 'DEADLINE':
    case 'DIVERGED':
      return exitStatus.failed;
  }
}

/** One clear line for what the world did wrong; a stack only for our own bugs. */
export function describeError(error: unknown): string {
  if (error instanceof OperationalError) return `Error (${error.code}): ${error.message}`;
  return `Internal error, please report it: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}
