/** Translates an error into the exit status of a command and into the one message that is printed. */

import { OperationalError } from '../shared/errors.js';
import { exitStatus } from '../shared/exit-status.js';

/** Returns the exit status for an error that occurred before a run has begun. */
export function statusOf(error: unknown): number {
  if (!(error instanceof OperationalError)) return exitStatus.failed;
  switch (error.code) {
    case 'CONFIG':
    case 'DATA':
    case 'ENGINE':
    case 'MODEL':
    case 'LAYOUT_MISMATCH':
    case 'CHECKPOINT':
    case 'USER':
      return exitStatus.usage;
    case 'INTERRUPTED':
      return exitStatus.saved;
    case 'PROTOCOL':
    case 'STALE_GENERATION':
    case 'PEER_LOST':
    case 'DEADLINE':
    case 'DIVERGED':
      return exitStatus.failed;
  }
}

/** Returns one line for an operational error, and the stack for a bug of this program. */
export function describeError(error: unknown): string {
  if (error instanceof OperationalError) return `Error (${error.code}): ${error.message}`;
  return `Internal error, please report it: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}
