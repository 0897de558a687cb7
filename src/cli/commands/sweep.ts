/** `lockstep sweep`: trains one run for each combination of values, one after the other, and compares their results. */

import { fork } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { constants } from 'node:os';
import { isAlive } from '../../launcher/lease-holder.js';
import { ConfigError } from '../../shared/errors.js';
import { exitStatus } from '../../shared/exit-status.js';
import { summarizeRun, type RunSummary } from '../../shared/runs/run-list.js';
import { isBetter, modeOf, valueOf } from '../runs/select-runs.js';
import { createRunFolder, stateOfFolder } from '../runs/run-folder.js';
import { trialsOf, type Trial } from '../sweep/space.js';
import {
  checkFree,
  checkSame,
  describeHolder,
  readSweep,
  writeSweep,
  type SweepRecord,
} from '../sweep/sweep-record.js';
import { textTable } from '../tables/text-table.js';

export interface SweepFlags {
  readonly grid?: readonly string[];
  readonly random?: readonly string[];
  readonly trials?: number;
  readonly seed?: number;
  readonly best?: string;
  readonly mode?: 'min' | 'max';
  readonly out?: string;
  readonly json?: boolean;
}

const main = fileURLToPath(new URL('../main.js', import.meta.url));

/** Time for a run of an interrupted sweep to save and to end. */
const endOfRunMs = 60_000;

interface Result {
  readonly name: string;
  readonly trial: Trial;
  readonly summary: RunSummary | undefined;
}

/**
 * Resolves with the exit status: that of a run that was stopped, or 1 if a run failed.
 * @param options those of `train` that are the same in every run
 */
export async function sweep(options: readonly string[], flags: SweepFlags): Promise<number> {
  const { out, record } = await openSweep(options, flags);
  const trials = trialsOf(record.space);
  const digits = String(trials.length).length;
  const runs = trials.map((trial, i) => ({ name: String(i + 1).padStart(Math.max(3, digits), '0'), trial }));
  let failed = 0;
  for (const [i, { name, trial }] of runs.entries()) {
    const folder = join(out, name);
    if ((await stateOfFolder(folder)).kind === 'finished') continue;
    const set = Object.entries(trial).map(([field, value]) => `${field}=${value}`);
    process.stderr.write(`Run ${i + 1} of ${runs.length}, ${folder}: ${set.join(' ')}\n`);
    const words = ['train', '--out', folder, ...set.flatMap((one) => ['--set', one]), ...record.options];
    const status = await trainRun(words, (pid) => writeSweep(out, { ...record, pid }));
    if (isStop(status)) {
      process.stderr.write(`The sweep is interrupted. Continue it with: lockstep sweep --out ${out}\n`);
      return status;
    }
    if (status !== exitStatus.done) failed++;
  }
  const results = await Promise.all(
    runs.map(async (run): Promise<Result> => {
      const summary = await summarizeRun(join(out, run.name)).catch(() => undefined);
      return { ...run, summary };
    }),
  );
  report(out, record, results, flags.json === true);
  return failed > 0 ? exitStatus.failed : exitStatus.done;
}

/** Reads the sweep of a folder, or begins a new one. */
async function openSweep(
  options: readonly string[],
  { grid = [], random = [], trials = 1, seed = 1, best, mode, out: given }: SweepFlags,
): Promise<{ readonly out: string; readonly record: SweepRecord }> {
  const before = given === undefined ? undefined : await readSweep(resolve(given));
  const continues = grid.length + random.length === 0 && before !== undefined;
  const metric = best ?? before?.best ?? 'loss';
  const chosen: SweepRecord = {
    version: 1,
    space: continues ? before.space : { grid, random, trials, seed },
    options: continues && options.length === 0 ? before.options : options,
    best: metric,
    mode: mode ?? (best === undefined ? before?.mode : undefined) ?? modeOf(metric),
  };
  trialsOf(chosen.space);
  if (options.includes('--out'))
    throw new ConfigError('sweep: expected its own --out before "--", got that of train.');
  const out = given === undefined ? createRunFolder(new Date(), 'sweep-') : resolve(given);
  const holder = describeHolder();
  if (before !== undefined) {
    checkSame(out, before, chosen);
    checkFree(out, before, holder);
    await endOf(before.pid);
  }
  const record = { ...chosen, holder };
  writeSweep(out, record);
  return { out, record };
}

/** Waits for the run that a sweep left, which ends by itself and saves its state. */
async function endOf(pid: number | undefined): Promise<void> {
  const deadline = Date.now() + endOfRunMs;
  while (pid !== undefined && isAlive(pid) && Date.now() < deadline) await delay(100);
}

/** Runs `lockstep train` and resolves with its exit status. The run ends if this process does. */
function trainRun(words: readonly string[], started: (pid: number) => void): Promise<number> {
  const child = fork(main, [...words, '--stop-with-parent'], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  // Ctrl-C reaches the run as well, which saves and stops; another signal is passed on.
  const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
  const ignore = (): void => undefined;
  process.on('SIGINT', ignore);
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, forward);
  return new Promise((settle) => {
    if (child.pid !== undefined) started(child.pid);
    child.on('error', () => settle(exitStatus.failed));
    child.once('close', (code, signal) => {
      process.off('SIGINT', ignore);
      for (const one of ['SIGTERM', 'SIGHUP'] as const) process.off(one, forward);
      settle(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
    });
  });
}

/** A run that was stopped by a signal, with or without its state saved. */
const isStop = (status: number): boolean => status === exitStatus.saved || status > 128;

/** Prints the table, best first, and writes it as results.csv. */
function report(out: string, { best, mode }: SweepRecord, results: readonly Result[], json: boolean): void {
  const figure = ({ summary }: Result): number | undefined => (summary ? valueOf(summary, best) : undefined);
  const sorted = [...results].sort((a, b) => {
    const [one, other] = [figure(a), figure(b)];
    if (one === undefined || other === undefined)
      return Number(one === undefined) - Number(other === undefined);
    return isBetter(mode, one, other) ? -1 : isBetter(mode, other, one) ? 1 : 0;
  });
  const fields = Object.keys(results[0]?.trial ?? {});
  const metrics = [...new Set(results.flatMap(({ summary }) => Object.keys(summary?.testMetrics ?? {})))];
  const header = ['run', 'outcome', ...fields, 'steps', 'loss', ...metrics, 'weights'];
  const rows = sorted.map(({ name, trial, summary }) => [
    name,
    summary?.outcome ?? 'failed',
    ...fields.map((field) => trial[field] ?? ''),
    String(summary?.steps ?? 0),
    ...['loss', ...metrics].map((metric) => shown(summary && valueOf(summary, metric))),
    summary?.weightsSha256?.slice(0, 12) ?? '',
  ]);
  const quoted = (cell: string): string => (/[",\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
  const csv = [header, ...rows].map((row) => row.map(quoted).join(','));
  writeFileSync(join(out, 'results.csv'), `${csv.join('\n')}\n`);
  if (json) {
    const runs = sorted.map(({ name, trial, summary }) => ({
      run: join(out, name),
      set: trial,
      outcome: summary?.outcome ?? 'failed',
      steps: summary?.steps ?? 0,
      testLoss: summary?.testLoss ?? null,
      metrics: summary?.testMetrics ?? {},
      weightsSha256: summary?.weightsSha256 ?? null,
    }));
    process.stdout.write(`${JSON.stringify({ event: 'sweep', path: out, best, mode, runs })}\n`);
    return;
  }
  const text = ['run', 'outcome', 'weights', ...fields];
  const table = textTable(
    header.map((name) => (text.includes(name) ? `-${name}` : name)),
    rows,
  );
  process.stdout.write(`${table.join('\n')}\n`);
  const [first] = sorted;
  if (first && figure(first) !== undefined) process.stdout.write(`Best ${best}: ${join(out, first.name)}\n`);
}

const shown = (value: number | undefined): string =>
  value === undefined ? '' : String(Number(value.toPrecision(6)));
