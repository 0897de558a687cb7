/** Options of `csv` and their validation. */

import { textEncodings, type TextEncoding } from '../../shared/data/preprocessing.js';
import { ConfigError } from '../../shared/errors.js';
import type { ColumnRules, MissingRule } from './csv-columns.js';
import { checkInteger, checkOptionNames, show } from './known-options.js';

export interface CsvOptions {
  /** Path relative to the working folder. */
  readonly train: string;
  /** By default, every `testEvery`-th row of the shuffled training file is a test sample. */
  readonly test?: string;
  readonly testEvery?: number;
  readonly delimiter?: string;
  /** Decimal point of the numbers; '.' by default. */
  readonly decimal?: '.' | ',';
  /** By default, UTF-8, or UTF-16 with a byte order mark. */
  readonly encoding?: TextEncoding;
  /** Columns of each of the model's inputs, in order; by default all columns except the targets. */
  readonly inputs?: readonly (readonly string[])[];
  /** One column per output of the model, in order. */
  readonly targets: readonly string[];
  /**
   * Columns that are categories: their names, or for each the list of its values. A column without numbers is a category in any
   * case; its values are those of the training rows.
   */
  readonly categories?: readonly string[] | Readonly<Record<string, readonly string[]>>;
  /**
   * Treatment of missing values, of all columns or by column: 'refuse' (default) ends the run, 'dropRow' leaves the row out, 'mean' and
   * 'median' are those of the training rows, and { value } is a replacement.
   */
  readonly missing?: 'refuse' | 'dropRow' | 'mean' | 'median' | Readonly<Record<string, MissingRule>>;
}

const names = [
  'train',
  'test',
  'testEvery',
  'delimiter',
  'decimal',
  'encoding',
  'inputs',
  'targets',
  'categories',
  'missing',
];

/** @throws ConfigError naming the first wrong option */
export function checkCsvOptions(options: CsvOptions): void {
  checkOptionNames('csv', options, names);
  const { train, test, testEvery, delimiter = ',', decimal = '.', encoding, inputs, targets } = options;
  for (const [name, file] of Object.entries({ train, test })) {
    if (name === 'test' && file === undefined) continue;
    require(typeof file === 'string' && file !== '', name, 'the path of a file', file);
  }
  require(test === undefined || testEvery === undefined, 'testEvery', 'nothing beside `test`', testEvery);
  if (testEvery !== undefined) checkInteger('csv: testEvery', testEvery, { min: 2 });
  const divides = typeof delimiter === 'string' && delimiter !== '' && !/["\r\n]/.test(delimiter);
  require(divides, 'delimiter', 'characters other than quotes and line breaks', delimiter);
  require(['.', ','].includes(decimal), 'decimal', "'.' or ','", decimal);
  const known = encoding === undefined || textEncodings.includes(encoding);
  require(known, 'encoding', `one of ${textEncodings.join(', ')}`, encoding);
  require(isNames(targets), 'targets', 'a list of different column names', targets);
  const groups =
    inputs === undefined || (Array.isArray(inputs) && inputs.length > 0 && inputs.every(isNames));
  require(groups, 'inputs', 'a list of lists of column names, one for each input of the model', inputs);
  const both = inputs?.flat().find((name) => targets.includes(name));
  require(both === undefined, 'inputs', 'columns other than the targets', both);
  checkCategories(options.categories);
  checkMissing(options.missing);
}

function checkCategories(categories: CsvOptions['categories']): void {
  if (categories === undefined || (Array.isArray(categories) && categories.every(isText))) return;
  const lists =
    !Array.isArray(categories) && typeof categories === 'object' && (categories as unknown) !== null;
  require(lists &&
    Object.values(categories).every(
      isNames,
    ), 'categories', 'column names, or a list of different values for each column', categories);
}

function checkMissing(missing: CsvOptions['missing']): void {
  const isRule = (rule: unknown): boolean =>
    ['refuse', 'dropRow', 'mean', 'median'].includes(rule as string) ||
    (typeof rule === 'object' && rule !== null && Object.keys(rule).join() === 'value' && isValue(rule));
  const isValue = (rule: { value?: unknown }): boolean =>
    typeof rule.value === 'string' ? rule.value !== '' : Number.isFinite(rule.value);
  const expected = "'refuse', 'dropRow', 'mean', 'median', or one of these or { value } for each column";
  if (missing === undefined || typeof missing === 'string')
    require(missing === undefined || isRule(missing), 'missing', expected, missing);
  else
    for (const [name, rule] of Object.entries(missing))
      require(isRule(rule), `missing.${name}`, expected, rule);
}

/** @throws ConfigError if `categories` or `missing` names a column that is no input and no target */
export function checkNamedColumns({ categories = [], missing }: CsvOptions, used: readonly string[]): void {
  const lists = Array.isArray(categories) ? (categories as readonly string[]) : Object.keys(categories);
  const unused = (columns: readonly string[]): string | undefined =>
    columns.find((name) => !used.includes(name));
  const expected = `columns among the inputs and targets (${used.join(', ')})`;
  const category = unused(lists);
  require(category === undefined, 'categories', expected, category);
  const rule = unused(typeof missing === 'object' ? Object.keys(missing) : []);
  require(rule === undefined, 'missing', expected, rule);
}

/** Returns what the options say about one column. */
export function rulesOf(options: CsvOptions, name: string): ColumnRules {
  const { categories = [], missing = 'refuse', decimal = '.', targets } = options;
  const isTarget = targets.includes(name);
  const declared = Array.isArray(categories)
    ? categories.includes(name)
    : ((categories as Readonly<Record<string, readonly string[]>>)[name] ?? false);
  const rule = typeof missing === 'string' ? missing : (missing[name] ?? 'refuse');
  // A mean for all columns concerns the inputs; a target is never invented.
  const isMean = rule === 'mean' || rule === 'median';
  const effective = isTarget && isMean && typeof missing === 'string' ? 'refuse' : rule;
  return { name, isTarget, categories: declared, missing: effective, decimal };
}

const isText = (value: unknown): boolean => typeof value === 'string' && value !== '';

function isNames(value: unknown): boolean {
  return (
    Array.isArray(value) && value.length > 0 && value.every(isText) && new Set(value).size === value.length
  );
}

function require(holds: boolean, field: string, expected: string, value: unknown): void {
  if (holds) return;
  throw new ConfigError(`csv: ${field}: expected ${expected}, got ${show(value)}.`, { field });
}
