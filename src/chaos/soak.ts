/**
 * `lockstep chaos --soak`: one long run with periodic faults. It is interrupted at the end of its time, and its last checkpoint is
 * compared with an undisturbed run of as many steps.
 */

import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { setStepDelay } from '../shared/faults/fault-request.js';
import { PhiloxSequence, philoxKey } from '../shared/random/philox.js';
import { EffectiveTime } from '../shared/runs/effective-time.js';
import { hashOf, type ChaosSetting, type FaultReport } from './chaos-run.js';
import type { InjectedFault } from './inject.js';
import { documentedCostMs, lostTimes } from './lost-time.js';
import { nobodySurvived, recoveryMs } from './recovery.js';
import { Resources, type Growth, type QuarterMemory } from './resources.js';
import { endsRun } from './scenario.js';
import { drawSoakFault, type SoakFaults } from './soak-faults.js';
import { SoakRun } from './soak-run.js';
import { definitionOf, Training, type Timed } from './training-process.js';
import { injectWithin, tooManyUnfired } from './unfired.js';

export interface SoakOptions extends ChaosSetting, SoakFaults {
  readonly seed: number;
  readonly minutes: number;
  readonly everySeconds: number;
  readonly folder: string;
  readonly say: (line: string) => void;
}

export interface SoakFaultReport extends FaultReport {
  /** Milliseconds without progress after the fault. */
  readonly lostMs: number;
  /** The part of it that is announced. */
  readonly documentedMs: number;
}

export interface SoakReport {
  readonly faults: readonly SoakFaultReport[];
  readonly steps: number;
  readonly generations: number;
  readonly ettr: number | null;
  readonly wallSeconds: number;
  readonly committedSeconds: number;
  /** Seconds from the start of the run to its first step. */
  readonly restartSeconds: number;
  /** Seconds lost beyond the documented cost, as the mean over the faults. */
  readonly lostBeyondSeconds: number;
  readonly memory: readonly QuarterMemory[];
  readonly growth: readonly Growth[];
  readonly weights: { readonly disturbed: string; readonly undisturbed: string };
  readonly problems: readonly string[];
}

const sampleMs = 1_000;
/** Intervals for which a fault waits for its point. */
const patience = 3;

export async function soak(options: SoakOptions): Promise<SoakReport> {
  const { folder, workers, minutes, say } = options;
  const requests = join(folder, 'fault-requests');
  const out = join(folder, 'run');
  setStepDelay(requests, options.paceMs);
  const args = [...options.options, '--workers', String(workers), '--out', out, '--fault-requests', requests];
  // Without shared memory, so that every payload is a message.
  args.push('--shared-memory', 'off', '--checkpoint-every', '5s');
  const run = new SoakRun(args, folder, (minutes + 10) * 60_000);
  const resources = new Resources();
  const sampler = setInterval(() => resources.sample(run.training, run.sockets, requests), sampleMs);
  const injected = await injectFaults(options, run, requests, () => resources.restarted());
  clearInterval(sampler);
  const steps = await run.end();
  say(`interrupted after step ${run.training.step}; comparing with an undisturbed run of ${steps} steps`);
  const { events, problems } = run;
  const time = new EffectiveTime();
  for (const event of events) time.note({ ...event, timeMs: event.atMs });
  const faults = faultReports(injected, events, run.restartMs);
  const weights = await compared(options, out, steps);
  return {
    faults,
    steps,
    generations: events.filter(({ event }) => event === 'generation').length,
    ettr: time.ratio,
    wallSeconds: time.wallSeconds,
    committedSeconds: time.committedSeconds,
    restartSeconds: run.restartMs / 1000,
    lostBeyondSeconds: meanBeyondSeconds(faults),
    memory: resources.quarters(),
    growth: resources.growth(),
    weights,
    problems: [...problems, ...tooManyUnfired(injected), ...differing(weights, steps)],
  };
}

/**
 * Injects a fault every `everySeconds` until the time of the soak is over. A fault that another one triggers is two faults, and takes two
 * intervals: a launcher gives a worker up that is lost more often than five times within a minute.
 */
async function injectFaults(
  options: SoakOptions,
  run: SoakRun,
  requests: string,
  onRestart: () => void,
): Promise<InjectedFault[]> {
  const everyMs = options.everySeconds * 1000;
  const endMs = Date.now() + options.minutes * 60_000;
  const injected: InjectedFault[] = [];
  await run.firstStep();
  const sequence = new PhiloxSequence(philoxKey(options.seed, 'faults'), 0xffffffff);
  for (let number = 1; Date.now() < endMs - everyMs && !run.training.over; number++) {
    const planned = drawSoakFault(options, sequence, number, run.training);
    const intervalMs = planned?.trigger ? 2 * everyMs : everyMs;
    let nextMs = Date.now() + intervalMs;
    if (planned) {
      const limitMs = Math.min(patience * everyMs, endMs - Date.now());
      const fault = await injectWithin(limitMs, run.training, requests, planned);
      injected.push(fault);
      if (Date.now() > nextMs) nextMs = Date.now() + intervalMs;
      const fired = fault.atMs === undefined ? ': did not fire' : '';
      options.say(`${planned.id}: ${planned.kind} at ${planned.point}, step ${run.training.step}${fired}`);
      if (endsRun(planned.kind) && fault.atMs !== undefined) {
        await run.restart(planned.kind);
        onRestart();
        nextMs = Date.now() + everyMs;
      }
    }
    await waitUntil(nextMs, run.training);
  }
  await waitUntil(endMs, run.training);
  return injected;
}

async function waitUntil(atMs: number, training: Training): Promise<void> {
  await Promise.race([pause(Math.max(0, atMs - Date.now()), undefined, { ref: false }), training.ended]);
}

function faultReports(
  injected: readonly InjectedFault[],
  events: readonly Timed[],
  restartMs: number,
): SoakFaultReport[] {
  const peerTimeoutMs = events.find((event) => event.event === 'run')?.config.peerTimeoutMs ?? 0;
  const lost = lostTimes(injected, events);
  return injected.map((fault, i) => ({
    ...fault,
    recoveryMs: recoveryMs(fault, until(fault, events, injected)),
    nobodySurvived: nobodySurvived(fault, events),
    lostMs: lost[i] ?? 0,
    documentedMs:
      fault.atMs === undefined ? 0 : documentedCostMs(fault, events, { restartMs, peerTimeoutMs }),
  }));
}

/** A fault that cost less than announced does not make up for another one. */
function meanBeyondSeconds(faults: readonly SoakFaultReport[]): number {
  const beyondMs = faults.map(({ lostMs, documentedMs }) => Math.max(0, lostMs - documentedMs));
  return beyondMs.reduce((sum, ms) => sum + ms, 0) / 1000 / Math.max(1, faults.length);
}

/** The events up to the next fault, so that each fault is judged separately. */
function until(
  fault: InjectedFault,
  events: readonly Timed[],
  all: readonly InjectedFault[],
): readonly Timed[] {
  const next = Math.min(
    ...all.flatMap(({ atMs }) => (atMs !== undefined && atMs > (fault.atMs ?? 0) ? [atMs] : [])),
  );
  return events.filter(({ atMs }) => atMs < next);
}

/** Trains the soak's run to its end, and another one without faults. Returns the hashes of their weights. */
async function compared(options: SoakOptions, out: string, steps: number): Promise<SoakReport['weights']> {
  if (steps === 0) return { disturbed: '', undisturbed: '' };
  const end = ['--max-steps', String(steps)];
  const run = async (...args: string[]): Promise<string> => {
    const sockets = join(options.folder, 'undisturbed-s');
    const training = new Training([...args, ...end], sockets, Math.max(options.minutes, 5) * 120_000);
    return hashOf((await training.ended).events);
  };
  const disturbed = await run(...definitionOf(options.options), '--resume', out, '--workers', '1');
  const fresh = ['--workers', '2', '--out', join(options.folder, 'undisturbed')];
  return { disturbed, undisturbed: await run(...options.options, ...fresh) };
}

function differing({ disturbed, undisturbed }: SoakReport['weights'], steps: number): string[] {
  if (steps === 0) return ['no checkpoint was written at the end'];
  if (disturbed === undisturbed && disturbed !== '') return [];
  return [`weights ${disturbed.slice(0, 12)}… after step ${steps}, undisturbed ${undisturbed.slice(0, 12)}…`];
}
