/** The end of a worker process: by the end of the run, by an error, or by a signal to leave the run. */

import { stopSignalsOfProcess, type StopRequest } from '../../launcher/stop-signals.js';
import { InterruptedError, PeerLostError } from '../../shared/errors.js';
import { exitStatus, isStopNotice, statusOfStop, type StopNotice } from '../../shared/exit-status.js';
import { awakeTimeout } from '../../shared/time/awake-clock.js';
import type { ThreadCommunicator } from '../../worker/communicator/thread-communicator.js';
import { describeError, statusOf } from '../exit.js';

/**
 * Time for the coordinator to let this worker go, and for each piece of a save; less than pm2's kill_timeout in ecosystem.config.js.
 */
const leaveMs = 12_000;

/** Time between two requests to stop the run. */
const noticeMs = 2_000;

/** Together with the error that ended the worker, this determines its exit status. */
export interface WorkerExit {
  /** The worker has begun to load, and may have state soon. */
  welcomed: boolean;
  /** The coordinator waits for a save of this worker. */
  saving: boolean;
  /** The signal with which the worker leaves the run; undefined again if the coordinator did not let it go in time. */
  leftBy: string | undefined;
  /** This process is a task of a job: a scheduler's notice stops the run, and not only this worker. */
  readonly inJob: boolean;
}

/**
 * Runs a worker's session and resolves with the exit status.
 * @param launched true if a launcher receives the signals and prints the errors
 */
export async function participateUntilEnd(
  communicator: ThreadCommunicator,
  exit: WorkerExit,
  launched: boolean,
  session: () => Promise<void>,
): Promise<number> {
  try {
    if (launched) await session();
    else await stopSignalsOfProcess().during((request) => leave(communicator, exit, request), session);
    return exitStatus.done;
  } catch (error) {
    // The launcher prints the errors of its workers, except for bugs, and task 0 of a job the end of the run.
    const isPrinted = 'code' in (error as object) && (launched || (exit.inJob && isExpected(error, exit)));
    if (!isPrinted) process.stderr.write(`${describeError(error)}\n`);
    return statusAfter(error, exit);
  }
}

/**
 * Leaves the run. The coordinator releases the worker at once, unless its state has to be saved first: this takes as long as the save makes
 * progress. A worker without state ends immediately.
 */
function leave(communicator: ThreadCommunicator, exit: WorkerExit, { signal, atOnce }: StopRequest): void {
  const stop = (): void => communicator.abandon(new PeerLostError('This worker was told to stop.'));
  const stopUnsaved = (): void => {
    exit.leftBy = undefined;
    stop();
  };
  if (atOnce) {
    stopUnsaved();
    return;
  }
  exit.leftBy = signal;
  if (exit.inJob && exit.welcomed && isStopNotice(signal)) {
    requestStop(communicator, signal);
    return;
  }
  communicator.send({ type: 'leave' });
  if (exit.welcomed) stopWithoutProgress(communicator, exit, stopUnsaved);
  else stop();
}

/** Repeated, because a request may be lost with a coordinator. The end of the run ends this worker. */
function requestStop(communicator: ThreadCommunicator, notice: StopNotice): void {
  const send = (): void => communicator.send({ type: 'leave', notice });
  send();
  setInterval(send, noticeMs).unref();
}

function stopWithoutProgress(communicator: ThreadCommunicator, exit: WorkerExit, stop: () => void): void {
  const before = communicator.progress;
  awakeTimeout(leaveMs, () => {
    // Steps are no progress of a save: the request to leave may have been lost with a coordinator.
    if (exit.saving && communicator.progress !== before) stopWithoutProgress(communicator, exit, stop);
    else stop();
  });
}

function statusAfter(error: unknown, exit: WorkerExit): number {
  return exit.leftBy !== undefined && isExpected(error, exit) ? statusOfStop(exit.leftBy) : statusOf(error);
}

/** Returns true if the run was stopped, or if the coordinator has let this worker go. */
const isExpected = (error: unknown, { leftBy }: WorkerExit): boolean =>
  error instanceof InterruptedError || (error instanceof PeerLostError && leftBy !== undefined);
