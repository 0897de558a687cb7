/** The rows of a table's file and their encoded values, for the data of a training and for predictions. */

import type { ColumnEncoding } from '../../shared/data/preprocessing.js';
import { DataError } from '../../shared/errors.js';
import { encodeCells, isMissing, type Cell, type ColumnRules } from './csv-columns.js';
import type { Row, Table } from './csv-table.js';

/** A column of the tables: its rules and its encoding. */
export interface Column {
  readonly rules: ColumnRules;
  readonly encoding: ColumnEncoding;
}

/** Rows of one file, with the position of each used column. */
export interface RowSet {
  readonly file: string;
  readonly rows: readonly Row[];
  readonly at: ReadonlyMap<string, number>;
}

/** @param remedy what to do if the name is right, as the end of a sentence. @throws DataError if a table lacks a column */
export function checkColumns(tables: readonly Table[], needed: readonly string[], remedy: string): void {
  for (const { file, line, names } of tables) {
    const present = new Set(names);
    const absent = needed.find((name) => !present.has(name));
    if (absent === undefined) continue;
    throw new DataError(
      `${file}, line ${line}: expected a column "${absent}", got ${names.join(', ')}. Correct its name, or ${remedy}.`,
      { file, line, column: absent },
    );
  }
}

export function cellsOf({ file, rows, at }: RowSet, name: string): Cell[] {
  const column = at.get(name) ?? -1;
  return rows.map(({ line, cells }) => ({ file, line, text: cells[column] ?? '' }));
}

/** Notes the number of missing values that a column's encoding replaces. @param file the file that the note names */
export function noteReplaced(
  file: string,
  sets: readonly RowSet[],
  { rules: { name, categories }, encoding: { fill } }: Column,
  notes: string[],
): void {
  if (fill === null) return;
  const lacks = ({ text }: Cell): boolean => isMissing(text, categories !== false);
  const count = sets.reduce((sum, set) => sum + cellsOf(set, name).filter(lacks).length, 0);
  if (count > 0) notes.push(`${file}, column "${name}": ${count} missing values are replaced by ${fill}.`);
}

/** Leaves out the rows that lack a value in a column whose rule is 'dropRow', and notes which. */
export function withoutMissing(
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

/** Number of values of an input that a column becomes. */
const sizeOf = ({ encoding }: Column): number => (encoding.kind === 'number' ? 1 : encoding.values.length);

/** Number of values of an input that consists of the columns. */
export function widthOf(columns: readonly Column[]): number {
  return columns.reduce((sum, column) => sum + sizeOf(column), 0);
}

/** The encoded cells of each column, in order of the rows. */
export type EncodedColumns = ReadonlyMap<Column, Float64Array>;

/** Encodes every cell at once, so that a wrong one is refused before any is used. @throws DataError */
export function encodeColumns(set: RowSet, columns: readonly Column[]): EncodedColumns {
  return new Map(
    [...new Set(columns)].map((column) => {
      const { encoding, rules } = column;
      return [column, encodeCells(cellsOf(set, rules.name), encoding, rules)];
    }),
  );
}

/** Writes the values of one row: numbers as they are, categories one-hot. */
export function writeInput(
  columns: readonly Column[],
  encoded: EncodedColumns,
  row: number,
  into: Float32Array | Float64Array | Int32Array,
  start: number,
): void {
  let offset = start;
  for (const column of columns) {
    const size = sizeOf(column);
    const value = encoded.get(column)?.[row] ?? Number.NaN;
    if (column.encoding.kind === 'number') into[offset] = value;
    else into.fill(0, offset, offset + size)[offset + value] = 1;
    offset += size;
  }
}
