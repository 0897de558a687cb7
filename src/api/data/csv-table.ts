/** Divides the text of a CSV file into a header and rows. csv-parse reads the text. */

import { parse } from 'csv-parse/sync';
import { DataError } from '../../shared/errors.js';

export interface Row {
  /** Line of the file on which the row begins; the first line is 1. */
  readonly line: number;
  readonly cells: readonly string[];
}

export interface Table {
  readonly file: string;
  /** Line of the header. */
  readonly line: number;
  readonly names: readonly string[];
  readonly rows: readonly Row[];
}

/** @throws DataError if the header or a row is malformed, or there are no rows */
export function parseTable(text: string, file: string, delimiter: string): Table {
  const [header, ...rows] = parseRows(text, file, delimiter);
  if (!header) throw new DataError(`${file}: expected a header line and rows, got an empty file.`, { file });
  const names = header.cells;
  const empty = names.indexOf('');
  if (empty >= 0) {
    throw new DataError(
      `${file}, line ${header.line}: expected a name for each column, got none for column ${empty + 1}. Name it.`,
      { file },
    );
  }
  const seen = new Set<string>();
  const twice = names.find((name) => seen.size === seen.add(name).size);
  if (twice !== undefined) {
    const columns = names.flatMap((name, i) => (name === twice ? [i + 1] : [])).join(' and ');
    throw new DataError(
      `${file}, line ${header.line}: expected different column names, got "${twice}" in columns ${columns}. Rename one.`,
      { file },
    );
  }
  checkDelimiter(file, names, delimiter);
  if (rows.length === 0) throw new DataError(`${file}: expected rows after the header, got none.`, { file });
  for (const { line, cells } of rows) {
    if (cells.length === names.length) continue;
    throw new DataError(
      `${file}, line ${line}: expected ${names.length} cells as in the header, got ${cells.length}. ` +
        'Correct the row; put a cell that contains the delimiter or a line break between quotes.',
      { file, line },
    );
  }
  return { file, line: header.line, names, rows };
}

export function parseRows(text: string, file: string, delimiter: string): Row[] {
  let records: { record: string[]; info: { lines: number } }[];
  try {
    records = parse(text, {
      delimiter,
      info: true,
      relax_column_count: true,
      skip_empty_lines: true,
    }) as unknown as typeof records;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DataError(
      `${file}: expected CSV with a header line, got: ${reason}. Write a quote inside a cell twice.`,
      { file },
      cause,
    );
  }
  return records.map(({ record, info }) => ({
    line: info.lines - record.reduce((sum, cell) => sum + (cell.match(/\r\n|\r|\n/g)?.length ?? 0), 0),
    cells: record.map((cell) => cell.trim()),
  }));
}

/** A table of one column whose header contains another common delimiter was probably written with that one. */
function checkDelimiter(file: string, names: readonly string[], delimiter: string): void {
  const [only = ''] = names;
  const other =
    names.length === 1 && [';', '\t', ',', '|'].find((one) => one !== delimiter && only.includes(one));
  if (other === false || other === undefined) return;
  throw new DataError(
    `${file}: expected columns divided by ${JSON.stringify(delimiter)}, got the header "${only}". ` +
      `Set \`delimiter\` to ${JSON.stringify(other)}.`,
    { file },
  );
}
