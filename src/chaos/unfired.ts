/** Faults of a soak that did not fire, and how many of them a soak may have. */

import { setTimeout as pause } from 'node:timers/promises';
import { withdrawFaultRequest } from '../shared/faults/fault-request.js';
import { inject, requestPlannedFault, type InjectedFault } from './inject.js';
import type { PlannedFault } from './scenario.js';
import type { Training } from './training-process.js';

/** Share of the faults that may not fire. One fault may always be missing. */
const unfiredShare = 0.1;
/** Time for a process that has claimed a request to write the record. */
const claimedMs = 5_000;

/**
 * Injects a fault, which waits for its point for at most `limitMs`: a replacement may still load. A fault that has not fired then is
 * withdrawn, so that it does not fire later.
 */
export async function injectWithin(
  limitMs: number,
  training: Training,
  requests: string,
  planned: PlannedFault,
): Promise<InjectedFault> {
  const unfired: InjectedFault = { planned, atMs: undefined, pid: 0 };
  let withdrawn = false;
  requestPlannedFault(requests, planned);
  const injecting = inject(training, requests, planned, () => withdrawn);
  const soon = await Promise.race([injecting, pause(limitMs, undefined, { ref: false })]);
  if (soon) return soon;
  const { request, trigger } = planned;
  if (trigger) withdrawFaultRequest(requests, trigger.id);
  withdrawn = !request || withdrawFaultRequest(requests, request.id);
  return Promise.race([injecting, pause(claimedMs, unfired, { ref: false })]);
}

/** Describes the faults that did not fire if there are too many of them, or if none has fired. */
export function tooManyUnfired(faults: readonly Pick<InjectedFault, 'planned' | 'atMs'>[]): string[] {
  if (faults.length === 0) return ['no fault was injected'];
  const unfired = faults.filter(({ atMs }) => atMs === undefined);
  const allowed = Math.max(1, Math.floor(faults.length * unfiredShare));
  if (unfired.length <= allowed && unfired.length < faults.length) return [];
  const names = unfired.map(({ planned: { id, kind, point } }) => `${id} (${kind} at ${point})`);
  return [`${unfired.length} of ${faults.length} faults did not fire: ${names.join(', ')}`];
}
