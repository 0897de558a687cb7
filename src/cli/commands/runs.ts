/**
 * `lockstep runs`: lists the runs of a folder, or compares some of them. It reads their logs. It changes only the tags and notes that
 * its options give.
 */

import { basename, dirname, resolve } from 'node:path';
import { ConfigError, systemCode } from '../../shared/errors.js';
import { formatRatio } from '../../shared/runs/effective-time.js';
import { listRuns, summarizeRun, type RunSummary } from '../../shared/runs/run-list.js';
import { tagPattern, writeLabels } from '../../shared/runs/labels.js';
import { printableLines } from '../../shared/protocol/printable.js';
import { exitStatus } from '../../shared/exit-status.js';
import { formatDuration } from '../reporters/duration.js';
import { bestRun, filterRuns, sortRuns } from '../runs/select-runs.js';
import { textTable } from '../tables/text-table.js';

export interface RunsFlags {
  readonly dir: string;
  readonly json?: boolean;
  readonly sort?: string;
  readonly filter?: readonly string[];
  readonly bestBy?: string;
  readonly tag?: readonly string[];
  readonly untag?: readonly string[];
  readonly note?: string;
}

/** Results of a run, in the order of a comparison. */
const results = [
  'outcome',
  'steps',
  'testLoss',
  'testAccuracy',
  'imagesPerSecond',
  'seconds',
  'recoveries',
  'ettr',
] as const;

/**
 * Resolves with the exit status.
 * @param names folders of runs, or names of runs in `--dir`; empty for all runs in `--dir`
 * @throws ConfigError if one of them is not a run
 */
export async function showRuns(names: readonly string[], flags: RunsFlags): Promise<number> {
  const { dir, json = false, filter = [], sort, bestBy } = flags;
  const found =
    names.length === 0
      ? await listRuns(resolve(dir))
      : await Promise.all(names.map((name) => find(name, dir)));
  await label(names, found, flags);
  const kept = filterRuns(await Promise.all(found.map(({ path }) => summarizeRun(path))), filter);
  const sorted = sort === undefined ? kept : sortRuns(kept, sort);
  const runs = bestBy === undefined ? sorted : chooseBest(sorted, bestBy);
  if (json) {
    process.stdout.write(
      `${JSON.stringify(names.length > 1 ? { runs, differences: differences(runs) } : runs)}\n`,
    );
    return exitStatus.done;
  }
  if (runs.length === 0) {
    process.stdout.write(`No runs in ${resolve(dir)}. Train first, or name another folder with --dir.\n`);
    return exitStatus.done;
  }
  const lines = names.length > 1 ? comparison(runs) : list(runs);
  process.stdout.write(`${lines.join('\n')}\n`);
  return exitStatus.done;
}

/** Adds and removes tags, and sets the note, of runs that are named. @throws ConfigError */
async function label(
  names: readonly string[],
  runs: readonly RunSummary[],
  { tag = [], untag = [], note }: RunsFlags,
): Promise<void> {
  if (tag.length === 0 && untag.length === 0 && note === undefined) return;
  if (names.length === 0)
    throw new ConfigError(
      '--tag, --untag and --note: expected the names of runs, got none. Name the runs to change.',
    );
  const wrong = tag.find((one) => !tagPattern.test(one));
  if (wrong !== undefined)
    throw new ConfigError(`--tag: expected 1 to 64 letters, digits, dots or dashes, got "${wrong}".`);
  for (const { path, tags, note: before } of runs) {
    const next = [...new Set([...tags, ...tag])].filter((one) => !untag.includes(one));
    const labels = {
      tags: next,
      note: note === undefined ? before : note === '' ? null : note.slice(0, 4096),
    };
    await writeLabels(path, labels).catch((cause: unknown) => {
      throw new ConfigError(
        `Run ${path} can't be written (${systemCode(cause) ?? String(cause)}).`,
        { path },
        cause,
      );
    });
  }
}

function chooseBest(runs: readonly RunSummary[], name: string): RunSummary[] {
  const best = bestRun(runs, name);
  if (best) return [best];
  const known = [...new Set(runs.flatMap(({ testMetrics }) => ['loss', ...Object.keys(testMetrics)]))];
  throw new ConfigError(
    `--best-by: expected a value that a run has${known.length > 0 ? ` (${known.join(', ')}, or a field of docs/configuration.md)` : ''}, got "${name}".`,
  );
}

async function find(name: string, dir: string): Promise<RunSummary> {
  const candidates = [resolve(name), resolve(dir, name)];
  for (const path of candidates) {
    try {
      return await summarizeRun(path);
    } catch (cause) {
      const code = systemCode(cause);
      if (code !== 'ENOENT' && code !== 'ENOTDIR')
        throw new ConfigError(`Run ${path} can't be read (${code ?? String(cause)}).`, { path }, cause);
    }
  }
  throw new ConfigError(
    `Run ${name}: expected a folder with events.ndjson, found none in ${candidates.map((path) => dirname(path)).join(' or ')}.`,
  );
}

function list(runs: readonly RunSummary[]): string[] {
  const hasTags = runs.some(({ tags }) => tags.length > 0);
  const hasNotes = runs.some(({ note }) => note !== null);
  const header = [
    '-run',
    '-name',
    '-started',
    '-outcome',
    'workers',
    'batch',
    'steps',
    'test loss',
    'accuracy',
    'samples/s',
    'duration',
    'ETTR',
    '-weights',
    ...(hasTags ? ['-tags'] : []),
    ...(hasNotes ? ['-note'] : []),
  ];
  const rows = runs.map((run) => [
    run.name,
    run.config?.name ?? '–',
    new Date(run.startedMs).toISOString().slice(0, 16).replace('T', ' '),
    run.outcome,
    formatValue(run.config?.workers),
    formatValue(run.config?.batchSize),
    String(run.steps),
    formatResult(run, 'testLoss'),
    formatResult(run, 'testAccuracy'),
    formatResult(run, 'imagesPerSecond'),
    formatResult(run, 'seconds'),
    formatResult(run, 'ettr'),
    run.weightsSha256?.slice(0, 12) ?? '–',
    ...(hasTags ? [run.tags.join(', ')] : []),
    ...(hasNotes ? [printableLines(run.note ?? '').split('\n')[0] ?? ''] : []),
  ]);
  return textTable(header, rows);
}

/** Returns a table of results, weights and differing configuration fields, with one column per run. */
function comparison(runs: readonly RunSummary[]): string[] {
  const figures = results.map((field) => [field, ...runs.map((run) => formatResult(run, field))]);
  const weights = ['weights', ...runs.map(({ weightsSha256 }) => weightsSha256?.slice(0, 12) ?? '–')];
  const configs = differences(runs).map(({ field, values }) => [field, ...values.map(formatValue)]);
  const same =
    new Set(runs.map(({ weightsSha256 }) => weightsSha256)).size === 1 && runs[0]?.weightsSha256 !== null;
  return [
    ...textTable(['-', ...runs.map(({ path }) => basename(path))], [...figures, weights, ...configs]),
    ...(configs.length === 0 ? ['The configurations are equal.'] : []),
    ...(same ? ['The weights are bit-for-bit identical.'] : []),
  ];
}

/** Returns the configuration fields that are not equal in all runs. */
export function differences(runs: readonly RunSummary[]): { field: string; values: unknown[] }[] {
  const configs = runs.map(({ config }): Readonly<Record<string, unknown>> => config ?? {});
  const fields = [...new Set(configs.flatMap((config) => Object.keys(config)))].sort();
  return fields
    .map((field) => ({ field, values: configs.map((config) => config[field]) }))
    .filter(({ values }) => new Set(values.map((value) => JSON.stringify(value))).size > 1);
}

function formatResult(run: RunSummary, field: (typeof results)[number]): string {
  const value = run[field];
  if (value === null) return '–';
  if (field === 'ettr') return formatRatio(run.ettr);
  if (field === 'testAccuracy') return `${(Number(value) * 100).toFixed(2)} %`;
  if (field === 'testLoss') return Number(value).toFixed(4);
  if (field === 'imagesPerSecond') return String(Math.round(Number(value)));
  return field === 'seconds' ? formatDuration(Number(value)) : String(value);
}

function formatValue(value: unknown): string {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return String(value);
  return value === undefined || value === null ? '–' : JSON.stringify(value);
}
