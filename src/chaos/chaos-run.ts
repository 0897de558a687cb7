/** One run of `lockstep chaos` with faults, from its start to its report. */

import { join } from 'node:path';
import { statusOfStop } from '../shared/exit-status.js';
import { setStepDelay } from '../shared/faults/fault-request.js';
import { EffectiveTime } from '../shared/runs/effective-time.js';
import { inject, requestPlannedFault, type InjectedFault } from './inject.js';
import { nobodySurvived, recoveryMs } from './recovery.js';
import { endsRun, type Scenario } from './scenario.js';
import { definitionOf, Training, type TrainingOutcome, type Timed } from './training-process.js';

export interface ChaosSetting {
  /** Options of `train` common to all runs. */
  readonly options: readonly string[];
  readonly steps: number;
  readonly paceMs: number;
  /** A run that takes longer is killed and counts as failed. */
  readonly timeoutMs: number;
}

export interface FaultReport extends InjectedFault {
  readonly recoveryMs: number | undefined;
  /** All workers were lost; the recovery time includes the start of an engine. */
  readonly nobodySurvived: boolean;
}

export interface RunReport {
  readonly run: number;
  readonly scenario: Scenario;
  readonly faults: readonly FaultReport[];
  readonly weightsSha256: string;
  /** Effective training time ratio, from 0 to 1; null if no step was committed. */
  readonly ettr: number | null;
  /** Empty if the run passed. */
  readonly problems: readonly string[];
}

export const hashOf = (events: readonly Timed[]): string => {
  const last = events.at(-1);
  return last?.event === 'done' ? last.weightsSha256 : '';
};

/** @param folder for this run alone */
export async function disturbedRun(
  setting: ChaosSetting,
  scenario: Scenario,
  { run, folder, expected }: { run: number; folder: string; expected: string },
): Promise<RunReport> {
  const requests = join(folder, 'fault-requests');
  const sockets = join(folder, 's');
  const out = join(folder, 'run');
  const every = Math.max(1, Math.floor(setting.steps / 20));
  const own = (workers: number): string[] => [
    '--workers',
    String(workers),
    '--out',
    out,
    '--fault-requests',
    requests,
    '--shared-memory',
    scenario.sharedMemory,
    '--checkpoint-every',
    `${every}steps`,
  ];
  setStepDelay(requests, setting.paceMs);
  for (const fault of scenario.faults) requestPlannedFault(requests, fault);
  let training = new Training([...setting.options, ...own(scenario.workers)], sockets, setting.timeoutMs);
  const injected = await Promise.all(scenario.faults.map((fault) => inject(training, requests, fault)));
  const outcomes = [await training.ended];
  const ended = injected.find(({ planned, atMs }) => endsRun(planned.kind) && atMs !== undefined);
  if (ended) {
    // After all processes were killed, the sockets of the first part are still there.
    const others = join(folder, 't');
    training = new Training(
      [...definitionOf(setting.options), '--resume', out, ...own(scenario.resumeWorkers)],
      others,
      setting.timeoutMs,
    );
    outcomes.push(await training.ended);
  }
  const time = new EffectiveTime();
  const events = outcomes.flatMap((outcome) => outcome.events);
  for (const event of events) time.note({ ...event, timeMs: event.atMs });
  const last = outcomes.at(-1);
  return {
    run,
    scenario,
    faults: injected.map((fault) => ({
      ...fault,
      recoveryMs: recoveryMs(fault, events),
      nobodySurvived: nobodySurvived(fault, events),
    })),
    weightsSha256: hashOf(events),
    ettr: time.ratio,
    problems: [
      ...injected
        .filter(({ atMs }) => atMs === undefined)
        .map(({ planned: { kind, point } }) => `the fault ${kind} at ${point} did not fire`),
      ...(ended?.planned.kind === 'storm' && outcomes[0]?.status !== statusOfStop('SIGTERM')
        ? [`after SIGTERM: expected status 143, got ${outcomes[0]?.status ?? 'none'}`]
        : []),
      ...(last ? problemsOf(last, setting.steps, expected) : []),
      ...(last?.leftovers ?? []).map((what) => `left behind: ${what}`),
    ],
  };
}

function problemsOf({ status, events, stderr }: TrainingOutcome, steps: number, expected: string): string[] {
  const problems: string[] = [];
  if (status !== 0) {
    const error = events.findLast((event) => event.event === 'error');
    problems.push(`ended with status ${status ?? 'none'}: ${error?.message ?? stderr.slice(-400)}`);
    return problems;
  }
  const committed = events.flatMap((event) => (event.event === 'step' ? [event.step] : []));
  const first = events.find((event) => event.event === 'resumed')?.step ?? 0;
  const wrong = committed.findIndex((step, i) => step !== first + 1 + i);
  if (wrong >= 0 || first + committed.length !== steps)
    problems.push(
      `steps: expected ${first + 1} to ${steps} once each, got ${committed.length}, ${committed[wrong] ?? 'none'} out of order`,
    );
  const hash = hashOf(events);
  if (hash !== expected) problems.push(`weights ${hash.slice(0, 12)}… instead of ${expected.slice(0, 12)}…`);
  if (/Internal error/.test(stderr)) problems.push(stderr.slice(-400));
  return problems;
}
