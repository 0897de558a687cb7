/**
 * CSV tables with a header as inputs and targets. Numbers are normalized with the training set's mean and standard deviation,
 * categories are one-hot encoded, targets are not normalized. Every cell is checked when the files are loaded.
 */

import { createHash } from 'node:crypto';
import type { DataSplit, SampleBuffers, TensorSpec } from '../../shared/data/training-data.js';
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
import { deriveEncoding, encodeCells, isMissing, type Cell, type ColumnRules } from './csv-columns.js';
import { checkCsvOptions, checkNamedColumns, rulesOf, type CsvOptions } from './csv-options.js';
import { parseTable, type Row, type Table } from './csv-table.js';
import { readText } from './csv-text.js';

export type { CsvOptions } from './csv-options.js';

/** A column of the tables: its rules and its encoding. */
interface Column {
  readonly rules: ColumnRules;
  readonly encoding: ColumnEncoding;
}

/** Rows of one file, with the position of each used column. */
interface RowSet {
  readonly file: string;
  readonly rows: readonly Row[];
  readonly at: ReadonlyMap<string, number>;
}

export function csv(options: CsvOptions): DataSource {
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
  checkColumns(tables, used);
  checkNamedColumns(options, used);
  const rules = new Map(used.map((name) => [name, rulesOf(options, name)]));
  const notes: string[] = [];
  const sets = tables.map((table) => withoutMissing(table, rules, notes));
  const { train, test } = divide(sets, options.testEvery ?? 5);
  const columns = new Map<string, Column>();
  for (const [name, rule] of rules) {
    const encoding = saved ? savedEncoding(saved, name) : deriveEncoding(cellsOf(train, name), rule);
    columns.set(name, { rules: rule, encoding });
    if (encoding.fill === null) continue;
    const lacking = [train, test].flatMap((set) =>
      cellsOf(set, name).filter(({ text }) => isMissing(text, rule.categories !== false)),
    );
    if (lacking.length > 0)
      notes.push(
        `${trainFile}, column "${name}": ${lacking.length} missing values are replaced by ${encoding.fill}.`,
      );
  }
  const preprocessing: TablePreprocessing = {
    kind: 'table',
    columns: [...columns.values()].map(({ encoding: column }) => column),
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

/** @throws DataError if a table lacks a column */
function checkColumns(tables: readonly Table[], needed: readonly string[]): void {
  for (const { file, names } of tables) {
    const present = new Set(names);
    const absent = needed.find((name) => !present.has(name));
    if (absent === undefined) continue;
    throw new DataError(
      `${file}: expected a column "${absent}", got ${names.join(', ')}. Correct its name, or set \`delimiter\`.`,
    );
  }
}

function cellsOf({ file, rows, at }: RowSet, name: string): Cell[] {
  const column = at.get(name) ?? -1;
  return rows.map(({ line, cells }) => ({ file, line, text: cells[column] ?? '' }));
}

/** Leaves out the rows that lack a value in a column whose rule is 'dropRow', and notes which. */
function withoutMissing(
  { file, names, rows }: Table,
  rules: ReadonlyMap<string, ColumnRules>,
  notes: string[],
): RowSet {
  const positions = new Map(names.map((name, i) => [name, i]));
  const at = new Map([...rules.keys()].map((name) => [name, positions.get(name) ?? -1]));
  const columns = [...rules.values()]
    .filter(({ missing }) => missing === 'dropRow')
    .map(({ name, categories }) => ({ column: at.get(name) ?? -1, isDeclared: categories !== false }));
  const lacks = ({ cells }: Row): boolean =>
    columns.some(({ column, isDeclared }) => isMissing(cells[column] ?? '', isDeclared));
  const dropped = new Set(rows.filter(lacks));
  if (dropped.size === 0) return { file, rows, at };
  if (dropped.size === rows.length)
    throw new DataError(
      `${file}: expected rows without missing values, got none of ${rows.length}. Change \`missing\`.`,
    );
  const lines = [...dropped].slice(0, 5).map(({ line }) => line);
  const more = dropped.size > lines.length ? ', …' : '';
  notes.push(
    `${file}: ${dropped.size} of ${rows.length} rows are left out because they lack a value (lines ${lines.join(', ')}${more}).`,
  );
  return { file, rows: rows.filter((row) => !dropped.has(row)), at };
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

const sizeOf = ({ encoding }: Column): number => (encoding.kind === 'number' ? 1 : encoding.values.length);

/** Encodes every cell at once, so that a wrong one is refused before the first step. */
function splitOf(
  set: RowSet,
  { inputs, targets }: { inputs: readonly (readonly Column[])[]; targets: readonly Column[] },
): DataSplit {
  const encoded = new Map<Column, Float64Array>();
  for (const column of new Set([...inputs.flat(), ...targets])) {
    const { encoding, rules } = column;
    encoded.set(column, encodeCells(cellsOf(set, rules.name), encoding, rules));
  }
  const inputSpecs = inputs.map((group): TensorSpec => ({
    shape: [group.reduce((sum, column) => sum + sizeOf(column), 0)],
    dtype: 'float32',
  }));
  const targetSpecs = targets.map(({ encoding }): TensorSpec =>
    encoding.kind === 'number'
      ? { shape: [1], dtype: 'float32' }
      : { shape: [], dtype: 'int32', classes: encoding.values.length, classNames: encoding.values },
  );
  const valueOf = (column: Column, index: number): number => encoded.get(column)?.[index] ?? Number.NaN;
  const fill = (indices: Int32Array, into: SampleBuffers): void => {
    for (const [at, index] of indices.entries()) {
      for (const [i, group] of inputs.entries()) {
        const values = into.inputs[i] as Float32Array;
        let offset = at * (inputSpecs[i]?.shape[0] ?? 0);
        for (const column of group) {
          const size = sizeOf(column);
          const value = valueOf(column, index);
          if (column.encoding.kind === 'number') values[offset] = value;
          else values.fill(0, offset, offset + size)[offset + value] = 1;
          offset += size;
        }
      }
      for (const [i, column] of targets.entries()) {
        const values = into.targets[i];
        if (values) values[at] = valueOf(column, index);
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
