/** Injects one planned fault into a running training, and reports whether it happened. */

import { setTimeout as pause } from 'node:timers/promises';
import {
  requestFault,
  readFaultRecord,
  releaseFaultRequest,
  type FaultRecord,
} from '../shared/faults/fault-request.js';
import { shortStopMs, type PlannedFault } from './scenario.js';
import { send, type Training } from './training-process.js';

const pollMs = 5;
/** Number and distance of the SIGTERMs of a storm. */
const storm = { signals: 5, apartMs: 40 } as const;

export interface InjectedFault {
  readonly planned: PlannedFault;
  /** Milliseconds since 1970; undefined: the fault did not happen. */
  readonly atMs: number | undefined;
  /** The affected process; 0: none in particular. */
  readonly pid: number;
}

/** Writes the requests of a fault; before the training starts or while it runs. */
export function requestPlannedFault(folder: string, { request, trigger }: PlannedFault): void {
  if (trigger) requestFault(folder, trigger);
  if (request) requestFault(folder, request);
}

/**
 * Resolves when the fault has happened, or cannot happen any more.
 * @param isWithdrawn true if the fault must not happen any more
 */
export async function inject(
  training: Training,
  folder: string,
  planned: PlannedFault,
  isWithdrawn: () => boolean = () => false,
): Promise<InjectedFault> {
  const { kind, id } = planned;
  const isOver = (): boolean => training.over || isWithdrawn();
  const fired = planned.request
    ? await firing(isOver, folder, id)
    : await randomTime(training, isOver, planned);
  if (!fired) return { planned, atMs: undefined, pid: 0 };
  const happened = (pid: number): InjectedFault => ({ planned, atMs: Date.now(), pid });
  switch (kind) {
    case 'kill':
      if (planned.request) return { planned, ...fired };
      return send(fired.pid, 'SIGKILL') ? happened(fired.pid) : { planned, atMs: undefined, pid: 0 };
    case 'stop':
      if (!planned.request && !send(fired.pid, 'SIGSTOP')) return { planned, atMs: undefined, pid: 0 };
      void wake(training, planned, fired.pid);
      return { planned, ...fired };
    case 'coordinator':
    case 'coordinator-stop': {
      const { coordinator } = training;
      const signal = kind === 'coordinator' ? 'SIGKILL' : 'SIGSTOP';
      const sent = send(coordinator, signal);
      if (planned.request) releaseFaultRequest(folder, id);
      if (kind === 'coordinator-stop') void wake(training, planned, coordinator);
      return sent ? happened(coordinator) : { planned, atMs: undefined, pid: 0 };
    }
    case 'resume': {
      const now = happened(training.pid);
      training.killAll();
      return now;
    }
    case 'storm': {
      const now = happened(training.pid);
      await sendStorm(training);
      return now;
    }
    case 'pause': {
      const now = happened(training.pid);
      await pauseAll(training, planned.pauseMs);
      return now;
    }
    case 'drop':
    case 'delay':
    case 'duplicate':
    case 'corrupt':
    case 'partition':
      return { planned, ...fired };
  }
}

async function firing(isOver: () => boolean, folder: string, id: string): Promise<FaultRecord | undefined> {
  for (;;) {
    const fired = readFaultRecord(folder, id);
    if (fired || isOver()) return fired;
    await pause(pollMs);
  }
}

/** Waits for the random time after the fault's step; resolves with the worker to be affected. */
async function randomTime(
  training: Training,
  isOver: () => boolean,
  planned: PlannedFault,
): Promise<FaultRecord | undefined> {
  while (training.step < planned.step) {
    if (isOver()) return undefined;
    await pause(pollMs);
  }
  await pause(planned.delayMs);
  if (isOver()) return undefined;
  const pids = [...training.members.values()];
  const pid = training.members.get(planned.rank) ?? pids[0] ?? 0;
  return { atMs: Date.now(), pid, point: 'random', step: training.step, rank: planned.rank };
}

/** Sends SIGTERM to all processes of the run, several times. */
async function sendStorm(training: Training): Promise<void> {
  for (let i = 0; i < storm.signals && !training.over; i++) {
    for (const pid of training.processes()) send(pid, 'SIGTERM');
    await pause(storm.apartMs);
  }
}

/** Stops all processes of the run for some time, as a paused container or machine does. */
async function pauseAll(training: Training, ms: number): Promise<void> {
  const stopped = training.processes();
  for (const pid of stopped) send(pid, 'SIGSTOP');
  await pause(ms);
  for (const pid of stopped) send(pid, 'SIGCONT');
}

/** Continues a stopped process: soon, or once the run has replaced it. */
async function wake(training: Training, { wakesSoon }: PlannedFault, pid: number): Promise<void> {
  if (wakesSoon) await pause(shortStopMs);
  else
    await training.next(
      (event) =>
        (event.event === 'worker' && event.state === 'lost' && event.pid === pid) ||
        (event.event === 'coordinator' && event.pid !== pid),
    );
  send(pid, 'SIGCONT');
}
