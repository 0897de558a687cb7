/** Translates an error into the exit status of a command and into the one message that is printed. */

import { OperationalError, systemCode } from '../shared/errors.js';
import { exitStatus } from '../shared/exit-status.js';

/** Returns the exit status for an error that occurred before a run has begun. */
export function statusOf(error: unknown): number {
  if (tooManyFiles.test(systemCode(error) ?? '')) return exitStatus.usage;
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
    case 'DEVICE_LOST':
    case 'DEADLINE':
    case 'DIVERGED':
      return exitStatus.failed;
  }
}

/** The limit of open files of the process or of the system. */
const tooManyFiles = /^(?:EMFILE|ENFILE)$/;

/** Returns one line for an operational error or a limit of open files, and the stack for a bug of this program. */
export function describeError(error: unknown): string {
  if (error instanceof OperationalError) return `Error (${error.code}): ${error.message}`;
  if (tooManyFiles.test(systemCode(error) ?? ''))
    return (
      `Error (CONFIG): Open files: expected a limit that suffices, got ${systemCode(error)}: too many open files. ` +
      'Raise the limit (`ulimit -n 1024`, LimitNOFILE, or --ulimit nofile of a container); `lockstep doctor` shows it.'
    );
  return `Internal error, please report it: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}
