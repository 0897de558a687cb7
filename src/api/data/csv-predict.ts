/** Reads the rows of a CSV or JSON file as the inputs of a saved model, with the columns, encodings and options of its training. */

import type { TablePreprocessing } from '../../shared/data/preprocessing.js';
import { DataError, ModelError } from '../../shared/errors.js';
import type { ColumnRules } from './csv-columns.js';
import {
  checkColumns,
  encodeColumns,
  noteReplaced,
  widthOf,
  withoutMissing,
  writeInput,
  type Column,
} from './csv-rows.js';
import { parseTable } from './csv-table.js';
import { readText } from './csv-text.js';
import { isJsonFile } from './json-samples.js';
import { readJsonTable } from './json-table.js';

type Reading = NonNullable<TablePreprocessing['reading']>;

export interface TableInputs {
  /** Line of the file on which each row begins, or the number of the row in a JSON file; the rows of a training's `dropRow` are left out. */
  readonly lines: readonly number[];
  /** Values of each input of the model, row by row. */
  readonly inputs: readonly { readonly values: Float32Array; readonly width: number }[];
  /** Cells of the targets' columns that the file has, in order of the rows. */
  readonly answers: ReadonlyMap<string, readonly string[]>;
  /** Sentences about what was left out, replaced or not used. */
  readonly notes: readonly string[];
}

/**
 * Returns how the files of a saved table are read.
 * @param directory of the run, for the message
 * @throws ModelError if the table was saved before this was saved with it
 */
export function readingOf(directory: string, { reading }: TablePreprocessing): Reading {
  if (reading) return reading;
  throw new ModelError(
    `Model in ${directory}: expected a description of its table's file (inputs, targets, delimiter, decimal sign, encoding), ` +
      'got none, since an earlier version of Lockstep or a data source of your own saved the model. Train again to predict from rows.',
    { directory },
  );
}

/** @throws DataError naming the file, and the line and column of the first wrong cell */
export async function readTableInputs(
  file: string,
  { columns }: TablePreprocessing,
  reading: Reading,
): Promise<TableInputs> {
  try {
    return await read(file, columns, reading);
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    // Rows of a JSON file are counted, and 0 is the place of a header.
    if (isJsonFile(file)) {
      const message = error.message
        .replace(`${file}, line 0:`, `${file}:`)
        .replace(`${file}, line `, `${file}, row `);
      throw new DataError(message, error.fields, error);
    }
    const { delimiter, decimal, encoding } = reading;
    const options = `delimiter ${JSON.stringify(delimiter)}, decimal '${decimal}', encoding ${encoding ?? 'utf-8'}`;
    throw new DataError(
      `${error.message} The file is read with the options of the training (${options}): convert it to them, or train again with others.`,
      error.fields,
      error,
    );
  }
}

async function read(
  file: string,
  encodings: TablePreprocessing['columns'],
  { inputs, targets, delimiter, decimal, encoding: textEncoding, categories, dropRow }: Reading,
): Promise<TableInputs> {
  const table = isJsonFile(file)
    ? await readJsonTable(file, decimal)
    : parseTable(await readText(file, textEncoding ?? undefined), file, delimiter);
  const used = new Set(inputs.flat());
  checkColumns(
    [table],
    [...used],
    isJsonFile(file) ? 'give each row a value for it' : `divide the cells by ${JSON.stringify(delimiter)}`,
  );
  const notes: string[] = [];
  const others = table.names.filter((name) => !used.has(name) && !targets.includes(name));
  if (others.length > 0)
    notes.push(`${file}: the model was trained without the columns ${others.join(', ')}; they are not used.`);
  const [declared, dropping] = [new Set(categories), new Set(dropRow)];
  const rulesOf = (name: string): ColumnRules => ({
    name,
    isTarget: false,
    categories: declared.has(name),
    missing: dropping.has(name) ? 'dropRow' : 'refuse',
    decimal,
  });
  const rules = new Map([...used].map((name) => [name, rulesOf(name)]));
  const set = withoutMissing(table, rules, notes);
  const columns = new Map<string, Column>();
  for (const encoding of encodings) {
    const rule = rules.get(encoding.name);
    // A target has an encoding too, and is not read.
    if (!rule) continue;
    const column = { rules: rule, encoding };
    columns.set(encoding.name, column);
    noteReplaced(file, [set], column, notes);
  }
  const encoded = encodeColumns(set, [...columns.values()]);
  const groups = inputs.map((names) => names.flatMap((name) => columns.get(name) ?? []));
  return {
    lines: set.rows.map(({ line }) => line),
    inputs: groups.map((group) => {
      const width = widthOf(group);
      const values = new Float32Array(width * set.rows.length);
      for (let row = 0; row < set.rows.length; row++) writeInput(group, encoded, row, values, row * width);
      return { values, width };
    }),
    answers: new Map(
      targets
        .map((name) => [name, table.names.indexOf(name)] as const)
        .filter(([, column]) => column >= 0)
        .map(([name, column]) => [name, set.rows.map(({ cells }) => (cells[column] ?? '').trim())]),
    ),
    notes,
  };
}
