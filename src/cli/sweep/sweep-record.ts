/** The record of a sweep, `sweep.json` in its folder, from which the same command continues after an interruption. */

import { readFile } from 'node:fs/promises';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { describeOwnProcess, lifeOf, type Holder } from '../../launcher/lease-holder.js';
import { ConfigError, systemCode } from '../../shared/errors.js';
import { host } from '../environment/environment.js';
import type { SweepSpace } from './space.js';

export const sweepName = 'sweep.json';

export interface SweepRecord {
  readonly version: 1;
  readonly space: SweepSpace;
  /** Options of `train` that are the same in every run. */
  readonly options: readonly string[];
  /** The metric of the test set by which runs are compared: `loss`, or a metric's name. */
  readonly best: string;
  readonly mode: 'min' | 'max';
  /** Process of the run that trains at present, or did so when the sweep was interrupted. */
  readonly pid?: number;
  /** Process of the sweep. */
  readonly holder?: Holder;
}

/** Returns undefined if the folder has no sweep. @throws ConfigError if the file is no record */
export async function readSweep(out: string): Promise<SweepRecord | undefined> {
  const file = join(out, sweepName);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT') return undefined;
    throw new ConfigError(
      `${file} can't be read (${systemCode(cause) ?? 'unknown error'}).`,
      { file },
      cause,
    );
  }
  try {
    const record = JSON.parse(text) as Omit<SweepRecord, 'version'> & { readonly version: unknown };
    if (record.version !== 1 || !Array.isArray(record.space.grid)) throw new Error('another format');
    return { ...record, version: 1 };
  } catch (cause) {
    throw new ConfigError(
      `${file}: expected the record of a sweep, got other text. Restore it, or choose another folder with --out.`,
      { file },
      cause,
    );
  }
}

export function writeSweep(out: string, record: SweepRecord): void {
  const file = join(out, sweepName);
  try {
    mkdirSync(out, { recursive: true });
    writeFileSync(`${file}.new`, `${JSON.stringify(record, null, 2)}\n`);
    renameSync(`${file}.new`, file);
  } catch (cause) {
    throw new ConfigError(
      `Folder ${out} can't be written (${systemCode(cause) ?? String(cause)}). Choose another one with --out.`,
      { out },
      cause,
    );
  }
}

/** This process, as the record names it. */
export const describeHolder = (): Holder => describeOwnProcess(host);

/** @throws ConfigError if another process trains the runs of the sweep */
export function checkFree(out: string, { holder }: SweepRecord, own: Holder): void {
  if (holder === undefined || lifeOf(holder, own) !== 'alive') return;
  throw new ConfigError(
    `--out ${out}: expected a sweep that no process continues, got one that process ${holder.pid} has continued since ` +
      `${new Date(holder.since).toLocaleTimeString('en-GB')}. Wait for its end, or stop it with: kill ${holder.pid}`,
    { out },
  );
}

/** @throws ConfigError if the folder has another sweep */
export function checkSame(out: string, before: SweepRecord, now: SweepRecord): void {
  const what = ({ space, options }: SweepRecord): unknown => ({ space, options });
  if (isDeepStrictEqual(what(before), what(now))) return;
  throw new ConfigError(
    `--out ${out}: expected the sweep that it has (${shown(before)}), got another (${shown(now)}). ` +
      'Choose another folder, or leave the options out to continue it.',
  );
}

function shown({ space: { grid, random, trials, seed }, options }: SweepRecord): string {
  const draws = random.length === 0 ? [] : [`--trials ${trials}`, `--seed ${seed}`];
  const words = [
    ...grid.map((one) => `--grid ${one}`),
    ...random.map((one) => `--random ${one}`),
    ...draws,
    ...(options.length > 0 ? ['--', ...options] : []),
  ];
  return words.join(' ');
}
