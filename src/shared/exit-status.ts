/** Exit statuses of every Lockstep process; docs/exit-status.md is their table. */

import { constants } from 'node:os';

export const exitStatus = {
  /** The run is finished. */
  done: 0,
  /** The run failed, or it was stopped and its last steps are not saved. */
  failed: 1,
  /** The command line, the configuration, the data or the user's code is wrong; the same command fails again. */
  usage: 2,
  /** The run was stopped before its end for another reason than a stop signal, and its state is saved (EX_TEMPFAIL of sysexits.h). */
  saved: 75,
} as const;

/** A scheduler sends these signals as a notice that it is about to take the machine away. */
export const stopNotices = ['SIGUSR1', 'SIGUSR2'] as const;
export type StopNotice = (typeof stopNotices)[number];

/** Returns true for the signals of `stopNotices`. */
export const isStopNotice = (signal: string): signal is StopNotice =>
  (stopNotices as readonly string[]).includes(signal);

/** The cause of a stop that a user of the dashboard requests. It has the status of Ctrl-C, so that no supervisor starts the run again. */
export const stoppedOnDashboard = 'the dashboard';

/**
 * Returns the exit status of a process that was stopped by `cause` and whose state is saved: 128 + n for the stop signal n, and 75
 * for a scheduler's notice and for another cause that is not a signal.
 */
export function statusOfStop(cause: string): number {
  if (cause === stoppedOnDashboard) return 128 + constants.signals.SIGINT;
  const number = isStopNotice(cause)
    ? undefined
    : (constants.signals as Partial<Record<string, number>>)[cause];
  return number === undefined ? exitStatus.saved : 128 + number;
}
