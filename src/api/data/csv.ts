/**
 * CSV tables with a header as inputs and targets. Numbers are normalized with the training set's mean and standard deviation,
 * categories are one-hot encoded, targets are not normalized. Every cell is checked when the files are loaded.
 */

import { createHash } from 'node:crypto';
import type { DataSplit, SampleBuffers, TensorSpec, TrainingData } from '../../shared/data/training-data.js';
import {
  jsonBytes,
  maxPreprocessingBytes,
  type ColumnEncoding,
  type Preprocessing,
  type TablePreprocessing,
} from '../../shared/data/preprocessing.js';
import { ConfigError, DataError } from '../../shared/errors.js';
import { epochPermutation } from '../../shared/random/permutation.js';
import type { DataSource } from '../define-training.js';
import { deriveEncoding } from './csv-columns.js';
import { checkCsvOptions, checkNamedColumns, rulesOf, type CsvOptions } from './csv-options.js';
import {
  cellsOf,
  checkColumns,
  encodeColumns,
  noteReplaced,
  widthOf,
  withoutMissing,
  writeInput,
  type Column,
  type RowSet,
} from './csv-rows.js';
import { parseTable, type Row } from './csv-table.js';
import { readText } from './csv-text.js';

export type { CsvOptions } from './csv-options.js';

export function csv(options: CsvOptions): DataSource<TrainingData> {
  checkCsvOptions(options);
  return { load: (saved) => load(options, saved) };
}

async function load(options: CsvOptions, saved: Preprocessing | undefined) {
  const { train: trainFile, test: testFile, targets, delimiter = ',', encoding } = options;
  const files = [trainFile, ...(testFile === undefined ? [] : [testFile])];
  const texts: string[] = [];
  for (const file of files) texts.push(await readText(file, encoding));
  const tables = texts.map((text, i) => parseTable(text, files[i] ?? '', delimiter));
  const names = tables[0]?.names ?? [];
  const isTarget = new Set(targets);
  const groups = options.inputs ?? [names.filter((name) => !isTarget.has(name))];
  const used = [...new Set([...groups.flat(), ...targets])];
  checkColumns(tables, used, 'set `delimiter`');
  checkNamedColumns(options, used);
  const rules = new Map(used.map((name) => [name, rulesOf(options, name)]));
  const notes: string[] = [];
  const sets = tables.map((table) => withoutMissing(table, rules, notes));
  const { train, test } = divide(sets, options.testEvery ?? 5);
  const columns = new Map<string, Column>();
  for (const [name, rule] of rules) {
    const encoding = saved ? savedEncoding(saved, name) : deriveEncoding(cellsOf(train, name), rule);
    const column = { rules: rule, encoding };
    columns.set(name, column);
    noteReplaced(trainFile, [train, test], column, notes);
  }
  const preprocessing: TablePreprocessing = {
    kind: 'table',
    columns: [...columns.values()].map(({ encoding: column }) => column),
    reading: readingOf(options, groups, [...columns.values()]),
  };
  if (!saved) checkSize(trainFile, preprocessing);
  const pick = (list: readonly string[]): Column[] => list.map((name) => columns.get(name) as Column);
  const layout = { inputs: groups.map(pick), targets: pick(targets) };
  const sha256 = createHash('sha256')
    .update(JSON.stringify([texts, { ...options, train: '', test: '' }]))
    .digest('hex');
  return {
    name: trainFile,
    sha256,
    train: splitOf(train, layout),
    test: splitOf(test, layout),
    preprocessing,
    ...(notes.length > 0 ? { notes } : {}),
  };
}

/** Describes how a file is read, so that `predict` reads another one in the same way. */
function readingOf(
  { targets, delimiter = ',', decimal = '.', encoding }: CsvOptions,
  inputs: readonly (readonly string[])[],
  columns: readonly Column[],
): NonNullable<TablePreprocessing['reading']> {
  const namesOf = (chosen: readonly Column[]): string[] => chosen.map(({ rules }) => rules.name);
  return {
    version: 1,
    inputs: inputs.map((group) => [...group]),
    targets: [...targets],
    delimiter,
    decimal,
    encoding: encoding ?? null,
    categories: namesOf(columns.filter(({ rules }) => rules.categories !== false)),
    dropRow: namesOf(columns.filter(({ rules }) => rules.missing === 'dropRow')),
  };
}

/** @throws DataError naming the largest column if the encodings are too large for a message to the workers */
function checkSize(file: string, preprocessing: TablePreprocessing): void {
  const bytes = jsonBytes(preprocessing);
  if (bytes <= maxPreprocessingBytes) return;
  const largest = preprocessing.columns.reduce((a, b) => (jsonBytes(b) > jsonBytes(a) ? b : a));
  const values = largest.kind === 'category' ? `${largest.values.length} categories` : 'numbers';
  throw new DataError(
    `${file}, column "${largest.name}": expected columns whose encodings have at most ${maxPreprocessingBytes} bytes together, ` +
      `got ${bytes}, of which the ${values} of this column have ${jsonBytes(largest)}. Leave columns out of \`inputs\`, or ` +
      'combine rare categories.',
    { file, column: largest.name },
  );
}

/** Returns the encoding with which the saved model was trained. @throws ConfigError if it was trained without the column */
function savedEncoding(saved: Preprocessing, name: string): ColumnEncoding {
  const columns = saved.kind === 'table' ? saved.columns : [];
  const found = columns.find((column) => column.name === name);
  if (found) return found;
  throw new ConfigError(
    `csv: expected columns with which the model was trained (${columns.map((column) => column.name).join(', ') || 'none'}), ` +
      `got "${name}". Name the table of the training in the definition.`,
  );
}

/** Divides the rows of a single file after a fixed shuffle, because tables are often sorted. */
function divide([all, test]: readonly RowSet[], every: number): { train: RowSet; test: RowSet } {
  const given = all as RowSet;
  if (test) return { train: given, test };
  const shuffled = [...epochPermutation(0, 0, given.rows.length)].map((index) => given.rows[index] as Row);
  const train = { ...given, rows: shuffled.filter((_, i) => i % every !== 0) };
  if (train.rows.length === 0)
    throw new DataError(`${given.file}: expected at least 2 rows, got ${given.rows.length}. Add rows.`);
  return { train, test: { ...given, rows: shuffled.filter((_, i) => i % every === 0) } };
}

/** Encodes every cell at once, so that a wrong one is refused before the first step. */
function splitOf(
  set: RowSet,
  { inputs, targets }: { inputs: readonly (readonly Column[])[]; targets: readonly Column[] },
): DataSplit {
  const encoded = encodeColumns(set, [...inputs.flat(), ...targets]);
  const inputSpecs = inputs.map((group): TensorSpec => ({ shape: [widthOf(group)], dtype: 'float32' }));
  const targetSpecs = targets.map(({ encoding }): TensorSpec =>
    encoding.kind === 'number'
      ? { shape: [1], dtype: 'float32' }
      : { shape: [], dtype: 'int32', classes: encoding.values.length, classNames: encoding.values },
  );
  const fill = (indices: Int32Array, into: SampleBuffers): void => {
    for (const [at, index] of indices.entries()) {
      for (const [i, group] of inputs.entries()) {
        const start = at * (inputSpecs[i]?.shape[0] ?? 0);
        writeInput(group, encoded, index, into.inputs[i] as Float32Array, start);
      }
      for (const [i, column] of targets.entries()) {
        const values = into.targets[i];
        if (values) values[at] = encoded.get(column)?.[index] ?? Number.NaN;
      }
    }
  };
  return {
    count: set.rows.length,
    inputs: inputSpecs,
    targets: targetSpecs,
    fill,
    verified: true,
    origin: (index) => `${set.file}, line ${set.rows[index]?.line ?? 0}`,
  };
}
