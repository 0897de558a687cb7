/** `lockstep chaos`: trains repeatedly with faults and compares the weights with those of an undisturbed run. */

import { mkdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { disturbedRun, hashOf, type ChaosSetting, type RunReport } from '../../chaos/chaos-run.js';
import { summarize, tableOf } from '../../chaos/chaos-table.js';
import { chaosFaults, drawScenario, type ScenarioOptions } from '../../chaos/scenario.js';
import { Training, endTrainings } from '../../chaos/training-process.js';
import { exitStatus, statusOfStop } from '../../shared/exit-status.js';
import { makeTemporaryFolder } from '../../shared/files/temporary-folder.js';
import { faultPoints } from '../../shared/faults/fault-request.js';
import { listOfNames, numberFrom } from '../options/number-options.js';
import { describeRun } from './chaos-report.js';
import { soakAndReport, type SoakLimits } from './chaos-soak.js';

export interface ChaosFlags {
  readonly faults: string;
  readonly points?: string;
  readonly seed: string;
  readonly runs?: string;
  readonly minutes?: string;
  readonly workers: string;
  readonly shards: string;
  readonly steps: string;
  readonly pace: string;
  readonly every: string;
  readonly leastEttr?: string;
  readonly mostLost?: string;
  readonly pairs?: boolean;
  readonly soak?: boolean;
  readonly config?: string;
  readonly out?: string;
  readonly json?: boolean;
}

/** Maximum duration of one run, besides its own pauses. */
const timeoutMs = 180_000;
const defaultRuns = 10;

/** @param rest options of `train` for every run. Resolves with the exit status. @throws ConfigError */
export async function chaos(rest: readonly string[], flags: ChaosFlags): Promise<number> {
  const plan = readPlan(rest, flags);
  const folder = flags.out === undefined ? makeTemporaryFolder('chaos-') : resolve(flags.out);
  mkdirSync(folder, { recursive: true });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      endTrainings();
      process.exit(statusOfStop(signal));
    });
  }
  const print = (line: string): void => void process.stderr.write(`${line}\n`);
  try {
    return flags.soak === true
      ? await soakAndReport(soakOptions(plan, folder, print, flags), soakLimits(flags), flags.json === true)
      : await repeat(plan, folder, print, flags);
  } finally {
    if (flags.out === undefined) rmSync(folder, { recursive: true, force: true });
  }
}

interface ChaosPlan {
  /** Options of `train` for every run. */
  readonly options: readonly string[];
  readonly paceMs: number;
  readonly drawing: ScenarioOptions;
  readonly minutes: number | undefined;
}

function readPlan(rest: readonly string[], flags: ChaosFlags): ChaosPlan {
  const { points, minutes, config } = flags;
  const options = config === undefined ? [] : ['--config', resolve(config)];
  options.push('--shards', flags.shards, '--epochs', '1000000', '--evaluate', 'none', ...rest);
  return {
    options,
    paceMs: numberFrom('--pace', flags.pace, 0),
    drawing: {
      seed: numberFrom('--seed', flags.seed, 0),
      faults: listOfNames('--faults', flags.faults, chaosFaults),
      points:
        points === undefined ? [] : listOfNames('--points', points, [...faultPoints, 'random'] as const),
      workers: flags.workers.split(',').map((text) => numberFrom('--workers', text, 1)),
      steps: numberFrom('--steps', flags.steps, 10),
      together: flags.pairs === true ? 2 : 1,
    },
    minutes: minutes === undefined ? undefined : numberFrom('--minutes', minutes, 0),
  };
}

type Print = (line: string) => void;

function soakOptions(
  { options, paceMs, drawing, minutes = 30 }: ChaosPlan,
  folder: string,
  print: Print,
  flags: ChaosFlags,
): Parameters<typeof soakAndReport>[0] {
  return {
    options,
    steps: drawing.steps,
    paceMs,
    timeoutMs,
    minutes,
    everySeconds: numberFrom('--every', flags.every, 1),
    seed: drawing.seed,
    faults: drawing.faults,
    points: drawing.points,
    workers: Math.max(...drawing.workers),
    folder,
    say: print,
  };
}

function soakLimits({ leastEttr, mostLost }: ChaosFlags): SoakLimits {
  return {
    ettr: leastEttr === undefined ? 0 : numberFrom('--least-ettr', leastEttr, 0) / 100,
    lostSeconds: mostLost === undefined ? Number.POSITIVE_INFINITY : numberFrom('--most-lost', mostLost, 0),
  };
}

async function repeat(
  { options, paceMs, drawing, minutes }: ChaosPlan,
  folder: string,
  print: Print,
  flags: ChaosFlags,
): Promise<number> {
  const { steps } = drawing;
  const runs = flags.runs === undefined ? undefined : numberFrom('--runs', flags.runs, 1);
  const setting: ChaosSetting = {
    options: [...options, '--max-steps', String(steps)],
    steps,
    paceMs,
    timeoutMs: timeoutMs + steps * paceMs,
  };
  const undisturbed = await runUndisturbed(setting, folder, print);
  if ('status' in undisturbed) return undisturbed.status;
  const { weights: expected } = undisturbed;
  const endMs = minutes === undefined ? Number.POSITIVE_INFINITY : Date.now() + minutes * 60_000;
  const most = runs ?? (minutes === undefined ? defaultRuns : Number.POSITIVE_INFINITY);
  const reports: RunReport[] = [];
  for (let run = 0; run < most && Date.now() < endMs; run++) {
    const own = join(folder, `r${run}`);
    const report = await disturbedRun(setting, drawScenario(drawing, run), { run, folder: own, expected });
    reports.push(report);
    print(describeRun(report));
    if (flags.json === true) process.stdout.write(`${JSON.stringify({ event: 'chaos-run', ...report })}\n`);
    // Failed runs are kept if a folder was given.
    if (report.problems.length === 0 || flags.out === undefined)
      rmSync(own, { recursive: true, force: true });
  }
  return summary(reports, print, flags.json === true);
}

/** Returns the weights' hash of a run without faults, or the exit status if that run fails. */
async function runUndisturbed(
  setting: ChaosSetting,
  folder: string,
  print: Print,
): Promise<{ readonly weights: string } | { readonly status: number }> {
  const training = new Training(
    [...setting.options, '--workers', '2', '--out', join(folder, 'undisturbed')],
    join(folder, 's'),
    setting.timeoutMs,
  );
  const { status, events, stderr } = await training.ended;
  const weights = hashOf(events);
  if (status !== 0 || weights === '') {
    const error = events.findLast((event) => event.event === 'error');
    print(`The undisturbed run failed: ${error?.message ?? stderr}`);
    return { status: status === exitStatus.usage ? exitStatus.usage : exitStatus.failed };
  }
  print(`undisturbed: ${setting.steps} steps, weights ${weights.slice(0, 16)}…`);
  return { weights };
}

/** Returns the exit status. */
function summary(reports: readonly RunReport[], print: Print, json: boolean): number {
  const failed = reports.filter(({ problems }) => problems.length > 0).length;
  const rows = summarize(reports, ({ planned: { kind, point } }) => ({ kind, point }));
  const byKind = summarize(reports, ({ planned: { kind } }) => ({ kind, point: 'all' }));
  for (const line of tableOf([...rows, ...byKind])) print(line);
  const same = reports.length - failed;
  print(`${reports.length} runs, ${same} with the weights of the undisturbed run, ${failed} failed.`);
  if (json)
    process.stdout.write(`${JSON.stringify({ event: 'chaos', runs: reports.length, failed, rows })}\n`);
  return failed === 0 ? exitStatus.done : exitStatus.failed;
}
