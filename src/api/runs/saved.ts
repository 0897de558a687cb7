/** `evaluate`, `predict` and `exportModel`: what the commands of the same names do with a saved run, from the code of another program. */

import { resolve } from 'node:path';
import type { ExportFormat, WeightLayout } from '../../worker/export/formats.js';
import type { RunConfigInput } from '../../shared/config/run-config.js';
import { DataError } from '../../shared/errors.js';
import type { Evaluation } from './history.js';
import type { Run } from './run.js';

/** Options of every function that opens a saved run. */
export interface SavedRunOptions {
  /** Path of the training definition; default: the copy of it in the run, if it is needed. */
  readonly config?: string;
  readonly engine?: RunConfigInput['engine'];
  /** Its abort ends the call, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

export interface EvaluateOptions extends SavedRunOptions {
  /** Data set to evaluate; default `test`. */
  readonly split?: 'test' | 'train';
  /** Folder with the four IDX files; default: the data of the run. */
  readonly data?: string;
}

/** The prediction for one file, or for one row of a CSV file; its fields are those of `lockstep predict --json`. */
export interface PredictionEvent {
  readonly event: 'prediction';
  readonly file: string;
  readonly [field: string]: unknown;
}

export interface ExportOptions extends SavedRunOptions {
  /** Default `tfjs`. */
  readonly format?: ExportFormat;
  /** Naming and memory layout of safetensors weights; default `tfjs`. */
  readonly layout?: WeightLayout;
  /** File or folder of the export; default: in the run. */
  readonly out?: string;
}

/**
 * Evaluates a saved run or model, in a process of its own.
 * @param run the run, its folder, or the folder of a tfjs model
 * @throws OperationalError, for example DataError if the data are not those of the training
 */
export async function evaluate(run: Run | string, options: EvaluateOptions = {}): Promise<Evaluation> {
  const { split, data, signal, ...saved } = options;
  const lines = await collect('eval', [folderOf(run)], { split, data, ...saved }, signal);
  return only<Evaluation>('eval', lines);
}

/**
 * Predicts from pictures, or from the rows of CSV files, in a process of its own.
 * @param run the run, its folder, or the folder of a tfjs model
 * @param files paths of the files
 * @throws OperationalError, for example DataError for a file that cannot be read
 */
export async function predict(
  run: Run | string,
  files: readonly string[],
  { signal, ...options }: SavedRunOptions = {},
): Promise<PredictionEvent[]> {
  const names = files.map((file) => resolve(file));
  const lines = await collect('predict', [folderOf(run), ...names], options, signal);
  return lines as unknown as PredictionEvent[];
}

/**
 * Writes a saved model in the format of another program.
 * @param run the run, its folder, or the folder of a tfjs model
 * @returns the path of the export
 * @throws OperationalError, for example ModelError for a layer that the format cannot express
 */
export async function exportModel(run: Run | string, options: ExportOptions = {}): Promise<string> {
  const { signal, ...flags } = options;
  const lines = await collect('export', [folderOf(run)], { ...flags }, signal);
  return only<{ readonly event: 'export'; readonly path: string }>('export', lines).path;
}

const folderOf = (run: Run | string): string => resolve(typeof run === 'string' ? run : run.folder);

/** Returns the objects that the command prints. */
async function collect(
  name: string,
  args: readonly string[],
  flags: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal | undefined,
): Promise<{ readonly event: string }[]> {
  signal?.throwIfAborted();
  const { runCommand, unexpectedEnd } = await import('./command-child.js');
  const options = Object.entries(flags).flatMap(([flag, value]) =>
    value === undefined ? [] : [`--${flag}`, value],
  );
  const lines: { readonly event: string }[] = [];
  const end = await runCommand([name, '--launched', '--json', ...options, '--', ...args], {
    signal,
    stopWith: 'SIGKILL',
    onOutput: (value) => lines.push(value as { readonly event: string }),
  });
  signal?.throwIfAborted();
  if (end.status === 0) return lines;
  // `predict` reports each file that it cannot read, uses the others and ends without an error.
  const reported = end.lastLines.findLast((line) => line.startsWith('Error (DATA): '));
  if (!end.error && reported !== undefined) throw new DataError(reported.slice('Error (DATA): '.length));
  throw end.error ?? unexpectedEnd(name, end);
}

function only<T extends { readonly event: string }>(name: T['event'], lines: readonly { event: string }[]): T {
  return lines.find(({ event }) => event === name) as T;
}
