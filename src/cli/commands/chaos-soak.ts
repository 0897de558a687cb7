/** `lockstep chaos --soak`: one long run with repeated faults, whose resources must not grow. */

import type { RunReport } from '../../chaos/chaos-run.js';
import { summarize, tableOf } from '../../chaos/chaos-table.js';
import { soak, type SoakFaultReport, type SoakReport } from '../../chaos/soak.js';
import { median } from '../../shared/arithmetic/quantile.js';
import { exitStatus } from '../../shared/exit-status.js';
import { formatRatio } from '../../shared/runs/effective-time.js';
import { textTable } from '../tables/text-table.js';

/** Limits that a soak must keep. */
export interface SoakLimits {
  /** Least effective training time ratio, from 0 to 1. */
  readonly ettr: number;
  /** Most seconds that a fault may cost beyond its documented cost, on average. */
  readonly lostSeconds: number;
}

/** Resolves with the exit status. */
export async function soakAndReport(
  options: Parameters<typeof soak>[0],
  limits: SoakLimits,
  json: boolean,
): Promise<number> {
  const report = await soak(options);
  const problems = [...report.problems, ...exceeded(report, limits)];
  for (const line of describe(report, options.workers)) options.say(line);
  for (const problem of problems) options.say(`FAILED: ${problem}`);
  if (json) process.stdout.write(`${JSON.stringify({ event: 'soak', ...report, problems })}\n`);
  const flat = report.growth.every(({ grew }) => !grew);
  return problems.length === 0 && flat ? exitStatus.done : exitStatus.failed;
}

function exceeded({ ettr, lostBeyondSeconds }: SoakReport, limits: SoakLimits): string[] {
  return [
    ...((ettr ?? 0) < limits.ettr
      ? [`ETTR: expected at least ${formatRatio(limits.ettr)}, got ${formatRatio(ettr)}`]
      : []),
    ...(lostBeyondSeconds > limits.lostSeconds
      ? [
          `lost beyond the documented cost: expected at most ${limits.lostSeconds} s per fault, got ${lostBeyondSeconds.toFixed(2)} s`,
        ]
      : []),
  ];
}

function describe(report: SoakReport, workers: number): string[] {
  const { growth, faults, memory, weights } = report;
  const times = faults.flatMap((fault) => (fault.nobodySurvived ? [] : (fault.recoveryMs ?? [])));
  const share =
    `ETTR ${formatRatio(report.ettr)}: ${report.committedSeconds.toFixed(1)} s in committed steps ` +
    `of ${report.wallSeconds.toFixed(1)} s.`;
  return [
    ...growth.map(({ role, what, over, from, to, seconds, grew }) => {
      const range = `${from.toFixed(1)} to ${to.toFixed(1)} in ${Math.round(seconds)} s`;
      const basis = over === 'age' ? 'at equal age' : `over its ${over}`;
      return `${grew ? 'GREW' : 'flat'}: ${what} of ${role}, ${basis}: ${range}`;
    }),
    ...tableOf(recoveries(faults, workers)),
    ...lostTimeTable(faults),
    ...memory.map(
      ({ role, firstMb, lastMb, maximumMb }) =>
        `memory of ${role}: median ${firstMb.toFixed(0)} MB in the first quarter, ${lastMb.toFixed(0)} MB in the last, ` +
        `maximum ${maximumMb.toFixed(0)} MB`,
    ),
    `${report.steps} steps, ${report.generations} generations, ${faults.length} faults; ` +
      `recovery median ${(median(times) / 1000).toFixed(2)} s, maximum ${(Math.max(...times) / 1000).toFixed(2)} s.`,
    share,
    `Lost beyond the documented cost: ${report.lostBeyondSeconds.toFixed(2)} s per fault, on average ` +
      `(restart ${report.restartSeconds.toFixed(1)} s).`,
    `weights:     ${weights.disturbed}`,
    `undisturbed: ${weights.undisturbed}`,
  ];
}

/** The table counts runs: each fault is entered as a run of its own. */
function recoveries(faults: readonly SoakFaultReport[], workers: number): ReturnType<typeof summarize> {
  const reports = faults.map((fault): RunReport => ({
    run: 0,
    scenario: { workers, resumeWorkers: 0, sharedMemory: 'off', faults: [] },
    faults: [fault],
    weightsSha256: '',
    ettr: null,
    problems: [],
  }));
  return summarize(reports, ({ planned: { kind } }) => ({ kind, point: 'all' }));
}

/** Seconds by kind of fault, as means: what it cost, and what of that is documented. */
function lostTimeTable(faults: readonly SoakFaultReport[]): string[] {
  const kinds = [...new Set(faults.map(({ planned }) => planned.kind))].sort();
  const rows = kinds.map((kind) => {
    const own = faults.filter(({ planned }) => planned.kind === kind);
    const mean = (ms: (fault: SoakFaultReport) => number): string =>
      (own.reduce((sum, fault) => sum + ms(fault), 0) / own.length / 1000).toFixed(2);
    return [
      kind,
      String(own.length),
      mean(({ lostMs }) => lostMs),
      mean(({ documentedMs }) => documentedMs),
      mean(({ lostMs, documentedMs }) => Math.max(0, lostMs - documentedMs)),
    ];
  });
  return textTable(['-fault', 'count', 'lost s', 'documented s', 'beyond s'], rows);
}
