/** Computes the time that a run needed to recover from a fault, from its events. */

import type { InjectedFault } from './inject.js';
import type { Timed } from './training-process.js';

/** The pids of the workers at that time. */
function membersAt(events: readonly Timed[], atMs: number): readonly number[] {
  let members: readonly number[] = [];
  for (const event of events) {
    if (event.atMs > atMs) break;
    if (event.event === 'worker' && event.state === 'joined') members = [...members, event.pid];
    if (event.event === 'generation') members = event.workers.map((worker) => worker.pid);
  }
  return members;
}

/**
 * Milliseconds from the fault to the next step committed after recovery. After the kill of a member that is the first step of the next
 * generation, since reports of earlier steps may have been in flight; otherwise it is the longest time without a step since the fault.
 * Undefined if no step followed.
 */
export function recoveryMs(
  { planned, atMs, pid }: InjectedFault,
  events: readonly Timed[],
): number | undefined {
  if (atMs === undefined) return undefined;
  const steps = events.filter(({ event }) => event === 'step').map((event) => event.atMs);
  if (planned.kind === 'kill' && membersAt(events, atMs).includes(pid)) {
    const next = events.find((event) => event.event === 'generation' && event.atMs > atMs);
    const step = next && steps.find((at) => at >= next.atMs);
    return step === undefined ? undefined : step - atMs;
  }
  const later = steps.filter((at) => at > atMs);
  if (later.length === 0) return undefined;
  return Math.max(...later.map((at, i) => at - (later[i - 1] ?? atMs)));
}

/**
 * True if no worker of the affected generation is in the next one. The run then waited for new engines to load, as at its start, and
 * that time is no measure of recovery.
 */
export function nobodySurvived({ atMs }: InjectedFault, events: readonly Timed[]): boolean {
  if (atMs === undefined) return false;
  const before = membersAt(events, atMs);
  const next = events.find((event) => event.event === 'generation' && event.atMs > atMs);
  if (next?.event !== 'generation' || before.length === 0) return false;
  return !next.workers.some(({ pid }) => before.includes(pid));
}
