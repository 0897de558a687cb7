/** `lockstep chaos`: trains again and again with faults, and compares what comes out with an undisturbed run. */

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { ConfigError } from '../../shared/errors.js';
import { faultPoints } from '../../shared/faults/fault-request.js';
import { chaosFaults, drawScenario, type ScenarioOptions } from '../../chaos/scenario.js';
import { median } from '../../chaos/recovery.js';
import {
  disturbedRun,
  hashOf,
  type ChaosSetting,
  type FaultReport,
  type RunReport,
} from '../../chaos/chaos-run.js';
import { soak } from '../../chaos/soak.js';
import { summarize, tableOf } from '../../chaos/chaos-table.js';
import { Training, endTrainings } from '../../chaos/training-process.js';
import { exitStatus } from '../exit.js';

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
  readonly pairs?: boolean;
  readonly soak?: boolean;
  readonly config?: string;
  readonly out?: string;
  readonly json?: boolean;
}

/** Longest that one run may take, besides its own pace. */
const timeoutMs = 180_000;

/** @param rest options of `train` for every run @throws ConfigError */
export async function chaos(rest: readonly string[], flags: ChaosFlags): Promise<number> {
  const faults = names('--faults', flags.faults, chaosFaults);
  const points =
    flags.points === undefined ? [] : names('--points', flags.points, [...faultPoints, 'random'] as const);
  const [seed, steps, paceMs] = [
    number('--seed', flags.seed, 0),
    number('--steps', flags.steps, 10),
    number('--pace', flags.pace, 0),
  ];
  const workers = flags.workers.split(',').map((text) => number('--workers', text, 1));
  const minutes = flags.minutes === undefined ? undefined : number('--minutes', flags.minutes, 0);
  const common = [
    ...(flags.config === undefined ? [] : ['--config', resolve(flags.config)]),
    ...['--shards', flags.shards, '--epochs', '1000000', '--evaluate', 'none', ...rest],
  ];
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  const folder = flags.out === undefined ? mkdtempSync(join(tmpdir(), 'chaos-')) : resolve(flags.out);
  mkdirSync(folder, { recursive: true });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      endTrainings();
      process.exit(exitStatus.interrupted);
    });
  }
  try {
    if (flags.soak === true) {
      const setting = { options: common, steps, paceMs, timeoutMs };
      const kinds = faults.filter((kind) => kind !== 'resume');
      const span = { minutes: minutes ?? 30, everySeconds: number('--every', flags.every, 1) };
      return await soakAndTell(
        { ...setting, ...span, seed, faults: kinds, points, workers: Math.max(...workers), folder, say },
        flags,
      );
    }
    const setting = {
      options: [...common, '--max-steps', String(steps)],
      steps,
      paceMs,
      timeoutMs: timeoutMs + steps * paceMs,
    };
    const drawing: ScenarioOptions = {
      seed,
      faults,
      points,
      workers,
      steps,
      together: flags.pairs === true ? 2 : 1,
    };
    const span = { runs: flags.runs === undefined ? undefined : number('--runs', flags.runs, 1), minutes };
    return await repeat(setting, drawing, span, { folder, say, flags });
  } finally {
    if (flags.out === undefined) rmSync(folder, { recursive: true, force: true });
  }
}

async function repeat(
  setting: ChaosSetting,
  drawing: ScenarioOptions,
  { runs, minutes }: { runs: number | undefined; minutes: number | undefined },
  { folder, say, flags }: { folder: string; say: (line: string) => void; flags: ChaosFlags },
): Promise<number> {
  const calm = join(folder, 'undisturbed');
  const first = new Training(
    [...setting.options, '--workers', '2', '--out', calm],
    join(folder, 's'),
    setting.timeoutMs,
  );
  const { status, events, stderr } = await first.ended;
  const expected = hashOf(events);
  if (status !== 0 || expected === '') {
    const error = events.findLast((event) => event.event === 'error');
    say(`The undisturbed run failed: ${error?.message ?? stderr}`);
    return status === exitStatus.usage ? exitStatus.usage : exitStatus.failed;
  }
  say(`undisturbed: ${setting.steps} steps, weights ${expected.slice(0, 16)}…`);
  const endMs = minutes === undefined ? Number.POSITIVE_INFINITY : Date.now() + minutes * 60_000;
  const most = runs ?? (minutes === undefined ? 10 : Number.POSITIVE_INFINITY);
  const reports: RunReport[] = [];
  for (let run = 0; run < most && Date.now() < endMs; run++) {
    const own = join(folder, `r${run}`);
    const report = await disturbedRun(setting, drawScenario(drawing, run), { run, folder: own, expected });
    reports.push(report);
    say(lineOf(report));
    if (flags.json === true) process.stdout.write(`${JSON.stringify({ event: 'chaos-run', ...report })}\n`);
    // What went wrong is kept, where somebody asked for a folder.
    if (report.problems.length === 0 || flags.out === undefined)
      rmSync(own, { recursive: true, force: true });
  }
  const bad = reports.filter(({ problems }) => problems.length > 0);
  const rows = summarize(reports, ({ planned: { kind, point } }) => ({ kind, point }));
  for (const line of tableOf([
    ...rows,
    ...summarize(reports, ({ planned: { kind } }) => ({ kind, point: 'all' })),
  ]))
    say(line);
  say(
    `${reports.length} runs, ${reports.length - bad.length} with the weights of the undisturbed run, ${bad.length} failed.`,
  );
  if (flags.json === true)
    process.stdout.write(
      `${JSON.stringify({ event: 'chaos', runs: reports.length, failed: bad.length, rows })}\n`,
    );
  return bad.length === 0 ? exitStatus.done : exitStatus.failed;
}

async function soakAndTell(options: Parameters<typeof soak>[0], { json }: ChaosFlags): Promise<number> {
  const report = await soak(options);
  const grown = report.growth.filter(({ grew }) => grew);
  for (const { role, what, over, from, to, seconds, grew } of report.growth)
    options.say(
      `${grew ? 'GREW' : 'flat'}: ${what} of ${role}, ${over === 'age' ? 'at equal age' : `over its ${over}`}: ${from.toFixed(1)} to ${to.toFixed(1)} in ${Math.round(seconds)} s`,
    );
  const asRun = {
    run: 0,
    scenario: { workers: options.workers, resumeWorkers: 0, sharedMemory: 'off', faults: [] } as const,
  };
  const reports: RunReport[] = report.faults.map((fault) => ({
    ...asRun,
    faults: [fault],
    weightsSha256: '',
    problems: [],
  }));
  for (const line of tableOf(summarize(reports, ({ planned: { kind } }) => ({ kind, point: 'all' }))))
    options.say(line);
  for (const problem of report.problems) options.say(`FAILED: ${problem}`);
  const times = report.faults.flatMap((fault) => (fault.nobodySurvived ? [] : (fault.recoveryMs ?? [])));
  options.say(
    `${report.steps} steps, ${report.generations} generations, ${report.faults.length} faults; ` +
      `recovery median ${(median(times) / 1000).toFixed(2)} s, maximum ${(Math.max(...times) / 1000).toFixed(2)} s.`,
  );
  if (json === true) process.stdout.write(`${JSON.stringify({ event: 'soak', ...report })}\n`);
  return report.problems.length === 0 && grown.length === 0 ? exitStatus.done : exitStatus.failed;
}

function lineOf({ run, scenario, faults, problems }: RunReport): string {
  const told = ({ planned: { kind, point, step }, recoveryMs, nobodySurvived }: FaultReport): string => {
    const restart = nobodySurvived ? ' with the start of an engine' : '';
    const took = recoveryMs === undefined ? '' : `, ${(recoveryMs / 1000).toFixed(2)} s${restart}`;
    return `${kind} at ${point} (step ${step}${took})`;
  };
  const verdict = problems.length === 0 ? 'ok' : `FAILED: ${problems.join('; ')}`;
  return `run ${run}, ${scenario.workers} workers, ${faults.map(told).join(' and ')}: ${verdict}`;
}

function names<T extends string>(flag: string, text: string, known: readonly T[]): T[] {
  return text.split(',').map((name) => {
    const found = known.find((one) => one === name.trim());
    if (found === undefined) throw new ConfigError(`${flag}: expected ${known.join(', ')}, got "${name}".`);
    return found;
  });
}

function number(flag: string, text: string, least: number): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < least)
    throw new ConfigError(`${flag}: expected a number from ${least} on, got "${text}".`);
  return value;
}
