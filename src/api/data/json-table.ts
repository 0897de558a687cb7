/** Reads rows of a table from a JSON file: objects with one value per column. The result is that of a CSV file with the same cells. */

import { isRecord } from '../../shared/config/is-record.js';
import { DataError } from '../../shared/errors.js';
import type { Table } from './csv-table.js';
import { readJsonList } from './json-samples.js';

/**
 * The line of a row is its number in the file, from 1. A missing value is null, or is left out.
 * @param decimal the decimal sign of the training's files, with which numbers are written as cells
 * @throws DataError naming the file and the row
 */
export async function readJsonTable(file: string, decimal: string): Promise<Table> {
  const values = await readJsonList(file);
  if (values.length === 0) throw new DataError(`${file}: expected a list of rows, got none.`, { file });
  const names = [...new Set(values.flatMap((value) => (isRecord(value) ? Object.keys(value) : [])))];
  const rows = values.map((value, i) => {
    const line = i + 1;
    if (!isRecord(value))
      throw new DataError(
        `${file}, row ${line}: expected an object with a value per column, such as {"${names[0] ?? 'height'}": 1.5}, ` +
          `got ${Array.isArray(value) ? 'a list' : JSON.stringify(value)}.`,
        { file, line },
      );
    return {
      line,
      cells: names.map((name) => cellOf(value[name], decimal, `${file}, row ${line}, "${name}"`)),
    };
  });
  return { file, line: 0, names, rows };
}

function cellOf(value: unknown, decimal: string, place: string): string {
  if (value === undefined || value === null) return '';
  if (typeof value === 'number') return String(value).replace('.', decimal);
  if (typeof value === 'string') return value.trim();
  throw new DataError(`${place}: expected a number, a text or null, got ${JSON.stringify(value)}.`);
}
