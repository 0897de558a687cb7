/**
 * CSV tables with a header as inputs and targets. Numbers are normalized with the training set's mean and standard deviation,
 * categories are one-hot encoded, targets are not normalized. csv-parse reads the text.
 */

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parse } from 'csv-parse/sync';
import type { DataSplit, TensorSpec, TensorValues } from '../../shared/data/training-data.js';
import { DataError, systemCode } from '../../shared/errors.js';
import { epochPermutation } from '../../shared/random/permutation.js';
import type { DataSource } from '../define-training.js';

export interface CsvOptions {
  /** Path relative to the working folder. */
  readonly train: string;
  /** By default, every `testEvery`-th row of the shuffled training file is a test sample. */
  readonly test?: string;
  readonly testEvery?: number;
  readonly delimiter?: string;
  /** Columns of each of the model's inputs, in order; by default all columns except the targets. */
  readonly inputs?: readonly (readonly string[])[];
  /** One column per output of the model, in order. */
  readonly targets: readonly string[];
  /** Columns of numbers that are categories. Columns with other values are categories in any case. */
  readonly categories?: readonly string[];
}

type Row = Readonly<Record<string, string>>;

interface Column {
  /** Number of elements in the input. */
  readonly size: number;
  /** Values of a categorical target, by class number. */
  readonly classes: readonly string[] | undefined;
  write(text: string, into: TensorValues, at: number): void;
}

export function csv(options: CsvOptions): DataSource {
  return { load: () => load(options) };
}

async function load(options: CsvOptions) {
  const { train: trainFile, test: testFile, targets } = options;
  const texts = await Promise.all([trainFile, ...(testFile === undefined ? [] : [testFile])].map(readText));
  const [rows = [], given] = texts.map((text, i) =>
    parseRows(text, i === 0 ? trainFile : (testFile ?? ''), options),
  );
  const { train, test } = given ? { train: rows, test: given } : divide(rows, options.testEvery ?? 5);
  const names = Object.keys(rows[0] ?? {});
  const groups = options.inputs ?? [names.filter((name) => !targets.includes(name))];
  for (const name of [...groups.flat(), ...targets]) {
    if (!names.includes(name))
      throw new DataError(`${trainFile}: expected a column "${name}", got ${names.join(', ')}.`);
  }
  const column = (name: string, isTarget: boolean): Column =>
    encode(trainFile, name, train, (options.categories ?? []).includes(name), isTarget);
  const inputs = groups.map((group) => group.map((name) => ({ name, ...column(name, false) })));
  const outputs = targets.map((name) => ({ name, ...column(name, true) }));
  const inputSpecs = inputs.map((group): TensorSpec => ({
    shape: [group.reduce((sum, { size }) => sum + size, 0)],
    dtype: 'float32',
  }));
  const targetSpecs = outputs.map(({ classes }): TensorSpec =>
    classes === undefined
      ? { shape: [1], dtype: 'float32' }
      : { shape: [], dtype: 'int32', classes: classes.length, classNames: classes },
  );
  const split = (from: readonly Row[]): DataSplit => ({
    count: from.length,
    inputs: inputSpecs,
    targets: targetSpecs,
    fill: (indices, into) => {
      for (const [at, index] of indices.entries()) {
        const row = from[index] ?? {};
        for (const [i, group] of inputs.entries()) {
          let offset = at * (inputSpecs[i]?.shape[0] ?? 0);
          for (const { name, size, write } of group) {
            write(row[name] ?? '', into.inputs[i] as TensorValues, offset);
            offset += size;
          }
        }
        for (const [i, { name, write }] of outputs.entries())
          write(row[name] ?? '', into.targets[i] as TensorValues, at);
      }
    },
  });
  const sha256 = createHash('sha256')
    .update(JSON.stringify([texts, { ...options, train: '', test: '' }]))
    .digest('hex');
  return { name: trainFile, sha256, train: split(train), test: split(test) };
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(resolve(file), 'utf8');
  } catch (cause) {
    throw new DataError(
      `${file}: expected a readable CSV file, got ${systemCode(cause) ?? String(cause)}.`,
      { file },
      cause,
    );
  }
}

function parseRows(text: string, file: string, { delimiter = ',' }: CsvOptions): Row[] {
  let rows: Row[];
  try {
    rows = parse(text, { columns: true, delimiter, bom: true, skip_empty_lines: true, trim: true });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DataError(`${file}: expected CSV with a header line, got: ${reason}.`, { file }, cause);
  }
  if (rows.length === 0) throw new DataError(`${file}: expected rows after the header, got none.`, { file });
  return rows;
}

/** Divides the rows after a fixed shuffle, because tables are often sorted. */
function divide(rows: readonly Row[], every: number): { train: Row[]; test: Row[] } {
  const shuffled = [...epochPermutation(0, 0, rows.length)].map((index) => rows[index] as Row);
  return {
    train: shuffled.filter((_, i) => i % every !== 0),
    test: shuffled.filter((_, i) => i % every === 0),
  };
}

const isNumber = (text: string): boolean => text !== '' && Number.isFinite(Number(text));

/** Returns the encoding of a column, derived from the training rows only. */
function encode(
  file: string,
  name: string,
  rows: readonly Row[],
  category: boolean,
  isTarget: boolean,
): Column {
  const texts = rows.map((row) => row[name] ?? '');
  if (category || !texts.every(isNumber)) {
    const values = [...new Set(texts)].sort();
    const classOf = (text: string): number => {
      const found = values.indexOf(text);
      if (found >= 0) return found;
      throw new DataError(
        `${file}, column "${name}": expected one of the training set's ${values.length} values, got "${text}".`,
      );
    };
    return {
      size: values.length,
      classes: values,
      write: (text, into, at) => {
        if (isTarget) into[at] = classOf(text);
        else into.fill(0, at, at + values.length)[at + classOf(text)] = 1;
      },
    };
  }
  const numbers = texts.map(Number);
  const mean = numbers.reduce((sum, value) => sum + value, 0) / numbers.length;
  const variance = numbers.reduce((sum, value) => sum + (value - mean) ** 2, 0) / numbers.length;
  const deviation = Math.sqrt(variance) || 1;
  return {
    size: 1,
    classes: undefined,
    write: (text, into, at) => {
      if (!isNumber(text))
        throw new DataError(`${file}, column "${name}": expected a number, got "${text}".`);
      into[at] = isTarget ? Number(text) : (Number(text) - mean) / deviation;
    },
  };
}
