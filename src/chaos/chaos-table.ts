/** The summary table of `lockstep chaos`: faults by kind and point, their counts, and the recovery times. */

import { median } from '../shared/arithmetic/quantile.js';
import type { FaultReport, RunReport } from './chaos-run.js';

export interface Summary {
  readonly kind: string;
  readonly point: string;
  readonly asked: number;
  readonly fired: number;
  /** Number of failed runs with this fault. */
  readonly failed: number;
  /** Recoveries in which all workers were lost and an engine had to start; excluded from the median and the maximum. */
  readonly restarts: number;
  readonly medianMs: number | null;
  readonly maximumMs: number | null;
}

export function summarize(
  runs: readonly RunReport[],
  by: (fault: FaultReport) => { kind: string; point: string },
): Summary[] {
  const groups = new Map<string, { fault: FaultReport; bad: boolean }[]>();
  for (const { faults, problems } of runs) {
    for (const fault of faults) {
      const { kind, point } = by(fault);
      const key = `${kind}\t${point}`;
      groups.set(key, [...(groups.get(key) ?? []), { fault, bad: problems.length > 0 }]);
    }
  }
  return [...groups]
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([key, list]) => {
      const [kind = '', point = ''] = key.split('\t');
      const times = list.flatMap(({ fault }) => (fault.nobodySurvived ? [] : (fault.recoveryMs ?? [])));
      return {
        kind,
        point,
        asked: list.length,
        fired: list.filter(({ fault }) => fault.atMs !== undefined).length,
        failed: list.filter(({ bad }) => bad).length,
        restarts: list.filter(({ fault }) => fault.nobodySurvived).length,
        medianMs: times.length === 0 ? null : median(times),
        maximumMs: times.length === 0 ? null : Math.max(...times),
      };
    });
}

const seconds = (ms: number | null): string => (ms === null ? '–' : (ms / 1000).toFixed(2));

export function tableOf(rows: readonly Summary[]): string[] {
  const head = ['fault', 'point', 'asked', 'fired', 'failed', 'restarts', 'median s', 'max s'];
  const cells = rows.map((row) => [
    row.kind,
    row.point,
    String(row.asked),
    String(row.fired),
    String(row.failed),
    String(row.restarts),
    seconds(row.medianMs),
    seconds(row.maximumMs),
  ]);
  const widths = head.map((title, i) =>
    Math.max(...[head, ...cells].map((line) => line[i]?.length ?? 0), title.length),
  );
  return [head, ...cells].map((line) =>
    line.map((cell, i) => (i < 2 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  '),
  );
}
