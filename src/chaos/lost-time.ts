/**
 * The time that each fault of a soak cost, and the part of it that docs/recovery.md does not announce. Computed from the events of the
 * run. Only new steps count as progress: a step that is repeated after a restart is lost time.
 */

import { median } from '../shared/arithmetic/quantile.js';
import type { InjectedFault } from './inject.js';
import { nobodySurvived } from './recovery.js';
import { shortStopMs } from './scenario.js';
import type { Timed } from './training-process.js';

/** Steps that are reported this much faster than a median step were computed earlier. */
const burstFactor = 4;
/** Events between two steps that are no slow step. */
const interrupting: readonly Timed['event'][] = ['generation', 'coordinator', 'run'];
/** The time after which the workers give up waiting for a lost message. */
const lostMessageMs = 3_000;

export interface SoakTimes {
  /** Milliseconds that the run needed from its start to its first step. */
  readonly restartMs: number;
  readonly peerTimeoutMs: number;
}

/** The times of the steps that no earlier event has reported, in order. */
function progressTimes(events: readonly Timed[]): number[] {
  let newest = 0;
  return events.flatMap((event) => {
    if (event.event !== 'step' || event.step <= newest) return [];
    newest = event.step;
    return [event.atMs];
  });
}

/**
 * Milliseconds without progress after each fault, up to the next one, in the order of `faults`. The time between two steps counts if the
 * fault, or the start of a generation, a coordinator or a command, lies in it, less one median step. Other steps are merely slow, for
 * example because a worker loads. The time belongs to the last fault before its end. Steps that the workers commit while there is no
 * coordinator are reported in a burst, so each step of the burst shortens the time by a median step.
 */
export function lostTimes(faults: readonly InjectedFault[], events: readonly Timed[]): number[] {
  const times = progressTimes(events);
  const gaps = times.slice(1).map((atMs, i) => ({ atMs, ms: atMs - (times[i] ?? atMs) }));
  const typicalMs = median(gaps.map(({ ms }) => ms));
  const lost = faults.map(() => 0);
  const interruptions = [
    ...faults.map((fault) => fault.atMs ?? 0),
    ...events.filter(({ event }) => interrupting.includes(event)).map((event) => event.atMs),
  ];
  for (const [i, { atMs, ms }] of gaps.entries()) {
    if (!interruptions.some((at) => at > atMs - ms && at <= atMs)) continue;
    const index = faults.findLastIndex((fault) => fault.atMs !== undefined && fault.atMs <= atMs);
    const lostMs = ms - typicalMs - trainedMs(gaps.slice(i + 1), typicalMs);
    if (index >= 0) lost[index] = (lost[index] ?? 0) + Math.max(0, lostMs);
  }
  return lost;
}

/** The time that the steps of a burst took before they were reported. */
function trainedMs(gaps: readonly { readonly ms: number }[], typicalMs: number): number {
  const end = gaps.findIndex(({ ms }) => ms > typicalMs / burstFactor);
  return gaps.slice(0, Math.max(0, end)).reduce((sum, { ms }) => sum + typicalMs - ms, 0);
}

/** The documented cost of a fault in milliseconds: its timeout, its own duration, or the restart that it requires. */
export function documentedCostMs(
  fault: InjectedFault,
  events: readonly Timed[],
  { restartMs, peerTimeoutMs }: SoakTimes,
): number {
  const { kind, request, wakesSoon, pauseMs } = fault.planned;
  const durationMs = request?.ms ?? 0;
  switch (kind) {
    case 'kill':
      return nobodySurvived(fault, events) ? restartMs + sinceCheckpointMs(fault, events) : 0;
    case 'coordinator':
    case 'duplicate':
      return 0;
    case 'stop':
    case 'coordinator-stop':
      return wakesSoon ? shortStopMs : peerTimeoutMs;
    case 'drop':
    case 'corrupt':
      return lostMessageMs;
    case 'delay':
      return Math.min(durationMs, lostMessageMs);
    case 'partition':
      return durationMs;
    case 'pause':
      return pauseMs;
    case 'storm':
      return restartMs;
    case 'resume':
      return restartMs + sinceCheckpointMs(fault, events);
  }
}

/** The steps since the newest checkpoint are repeated. */
function sinceCheckpointMs({ atMs = 0 }: InjectedFault, events: readonly Timed[]): number {
  const checkpoint = events.findLast((event) => event.event === 'checkpoint' && event.atMs <= atMs);
  const since = checkpoint ?? events.find((event) => event.event === 'step');
  return since === undefined ? 0 : atMs - since.atMs;
}
