/** Encodings of a table's columns: numbers with the training set's mean and deviation, or categories. They are plain data. */

import { float32Max } from '../../shared/arithmetic/finite.js';
import type { ColumnEncoding } from '../../shared/data/preprocessing.js';
import { DataError } from '../../shared/errors.js';

export interface Cell {
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

/** Treatment of a missing value: a replacement, the mean or median of the training rows, or the row is left out. */
export type MissingRule = 'refuse' | 'dropRow' | 'mean' | 'median' | { readonly value: number | string };

export interface ColumnRules {
  readonly name: string;
  readonly isTarget: boolean;
  /** True if the column is declared as categories; a list if their values are declared too. */
  readonly categories: boolean | readonly string[];
  readonly missing: MissingRule;
  readonly decimal: '.' | ',';
}

const missingTexts = new Set([
  '',
  'NA',
  'N/A',
  'n/a',
  '#N/A',
  'NaN',
  'nan',
  'null',
  'NULL',
  'None',
  'none',
  '?',
]);

/** In a column that is declared as categories, a text such as NA may be a category; only an empty cell is missing. */
export function isMissing(text: string, declaredCategories: boolean): boolean {
  return declaredCategories ? text === '' : missingTexts.has(text);
}

/** Derives the encoding of a column from its training rows. @throws DataError naming the first wrong cell */
export function deriveEncoding(cells: readonly Cell[], rules: ColumnRules): ColumnEncoding {
  const { name, categories, missing } = rules;
  const present = cells.filter(({ text }) => !isMissing(text, categories !== false));
  const [first] = present;
  if (!first) {
    throw new DataError(
      `${cells[0]?.file ?? 'table'}, column "${name}": expected values in the training rows, got none. Leave the column out of \`inputs\`.`,
    );
  }
  const isText = present.every(({ text }) => !looksNumeric(text));
  if (categories !== false || isText) {
    const fill = fillOf(rules, () => {
      throw noMean(rules, first);
    });
    const found = [...present.map(({ text }) => text), ...(fill === null ? [] : [String(fill)])];
    const values = Array.isArray(categories) ? (categories as string[]) : [...new Set(found)].sort();
    return { kind: 'category', name, values, fill: fill === null ? null : String(fill) };
  }
  // Without a rule for missing values, a missing one is refused here like any other wrong cell.
  const considered = missing === 'refuse' ? cells : present;
  const numbers = considered.map(({ text }) => numberIn(text, rules.decimal));
  // The rows are shuffled; the first wrong cell of the file is the most useful one to report.
  const wrong = considered.filter((_, i) => !isInRange(numbers[i] ?? Number.NaN));
  if (wrong.length > 0)
    throw noNumber(
      wrong.reduce((a, b) => (b.line < a.line ? b : a)),
      rules,
    );
  const fill = fillOf(rules, (kind) => {
    if (rules.isTarget) throw noMean(rules, first);
    return kind === 'mean' ? meanOf(numbers) : medianOf(numbers);
  });
  if (typeof fill === 'string') {
    throw new DataError(
      `${first.file}, column "${name}": expected a number as the replacement of missing values, got "${fill}".`,
    );
  }
  if (rules.isTarget) return { kind: 'number', name, mean: 0, deviation: 1, fill };
  const mean = meanOf(numbers);
  const variance = numbers.reduce((sum, value) => sum + (value - mean) ** 2, 0) / numbers.length;
  return { kind: 'number', name, mean, deviation: Math.sqrt(variance) || 1, fill };
}

/** Returns the normalized numbers, or the class numbers, of a column's cells. @throws DataError naming the first wrong cell */
export function encodeCells(
  cells: readonly Cell[],
  encoding: ColumnEncoding,
  rules: ColumnRules,
): Float64Array {
  const classes = new Map(encoding.kind === 'category' ? encoding.values.map((value, i) => [value, i]) : []);
  return Float64Array.from(cells, (cell) => {
    const lacks = isMissing(cell.text, rules.categories !== false);
    if (lacks && encoding.fill === null) throw missingCell(cell, rules, encoding.kind);
    if (encoding.kind === 'number') {
      const value = lacks ? (encoding.fill ?? 0) : parseNumber(cell, rules);
      return (value - encoding.mean) / encoding.deviation;
    }
    const text = lacks ? (encoding.fill ?? '') : cell.text;
    const found = classes.get(text);
    if (found === undefined) throw unknownCategory(cell, text, encoding);
    return found;
  });
}

function unknownCategory(
  cell: Cell,
  text: string,
  { values, name }: Extract<ColumnEncoding, { kind: 'category' }>,
): DataError {
  const shown = values.slice(0, 5).join(', ') + (values.length > 5 ? ', …' : '');
  return new DataError(
    `${placeOf(cell, name)}: expected one of the training set's ${values.length} values (${shown}), got "${text}". ` +
      `Add training rows with it, correct the cell, or list all values: categories: { ${JSON.stringify(name)}: [...] }.`,
    { file: cell.file, line: cell.line, column: name, value: text },
  );
}

function fillOf(
  { missing }: ColumnRules,
  statistic: (kind: 'mean' | 'median') => number,
): number | string | null {
  if (missing === 'refuse' || missing === 'dropRow') return null;
  return typeof missing === 'object' ? missing.value : statistic(missing);
}

const meanOf = (numbers: readonly number[]): number =>
  numbers.reduce((sum, value) => sum + value, 0) / numbers.length;

function medianOf(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
}

function looksNumeric(text: string): boolean {
  return /^[\s$€£¥+\-(]*[.,]?\d/.test(text) || /^[+-]?inf(inity)?$/i.test(text);
}

/** Returns NaN unless the text is a decimal number. */
function numberIn(text: string, decimal: ColumnRules['decimal']): number {
  const plain = decimal === ',' ? text.replace(/\./g, 'x').replace(',', '.') : text;
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(plain) ? Number(plain) : Number.NaN;
}

/** False for NaN. */
const isInRange = (value: number): boolean => Math.abs(value) <= float32Max;

/** @throws DataError unless the cell is a decimal number in the range of float32 */
function parseNumber(cell: Cell, rules: ColumnRules): number {
  const value = numberIn(cell.text, rules.decimal);
  if (isInRange(value)) return value;
  throw noNumber(cell, rules);
}

/** The error of a cell that is no number in the range of float32. */
function noNumber(cell: Cell, rules: ColumnRules): DataError {
  const { text } = cell;
  if (isMissing(text, false)) return missingCell(cell, rules, 'number');
  const isRange = !Number.isNaN(numberIn(text, rules.decimal));
  const other = rules.decimal === '.' ? ',' : '.';
  const isOther = new RegExp(`^[+-]?\\d+[${other}]\\d+$`).test(text);
  const remedy = isRange
    ? 'Correct the cell.'
    : isOther
      ? `If the file writes decimals with "${other}", set \`decimal\` to '${other}'.`
      : 'Correct the cell, or name the column in `categories`.';
  return new DataError(
    `${placeOf(cell, rules.name)}: expected a number${isRange ? ' in the range of float32' : ''}, got "${text}". ${remedy}`,
    { file: cell.file, line: cell.line, column: rules.name, value: text },
  );
}

function missingCell(cell: Cell, { name, isTarget }: ColumnRules, kind: ColumnEncoding['kind']): DataError {
  const expected = kind === 'number' ? 'a number' : 'a category';
  const found = cell.text === '' ? 'an empty cell' : `"${cell.text}"`;
  const other =
    kind === 'number' && !isTarget ? "'mean' or 'dropRow'" : isTarget ? "'dropRow'" : "'dropRow' or a value";
  const category =
    kind === 'category' && cell.text !== '' ? ', or name the column in `categories` if this is one' : '';
  return new DataError(
    `${placeOf(cell, name)}: expected ${expected}, got ${found}. Correct the cell, or set \`missing\` for the column, ` +
      `for example to ${other}${category}.`,
    { file: cell.file, line: cell.line, column: name, value: cell.text },
  );
}

function noMean({ name, isTarget, missing }: ColumnRules, { file }: Cell): DataError {
  const kind = isTarget ? 'a target' : 'categories';
  return new DataError(
    `${file}, column "${name}": expected 'refuse', 'dropRow' or { value } for missing values of ${kind}, ` +
      `got '${typeof missing === 'string' ? missing : 'a value'}'. Set \`missing\` for each column.`,
    { file, column: name },
  );
}

function placeOf({ file, line }: Cell, name: string): string {
  return `${file}, line ${line}, column "${name}"`;
}
