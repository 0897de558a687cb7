/** Reads the rows of a CSV file as samples for a model that was not trained on a table: the numbers of its inputs, in order. */

import { DataError } from '../../shared/errors.js';
import { parseRows } from './csv-table.js';
import { readText } from './csv-text.js';
import type { JsonInput, JsonSample } from './json-samples.js';

/** Names of the column that states the class of a sample. */
const labelNames = ['label', 'class'];

/** A sample of a file, and the line on which its row begins. */
export interface CsvSample extends JsonSample {
  readonly line: number;
}

/**
 * A row has one cell per number of the model's inputs, in order and row by row. A first row with cells that are no numbers is a header; its
 * column `label` or `class` states the class of each sample.
 * @throws DataError naming the file and the line, or an input whose size differs from sample to sample
 */
export async function readCsvSamples(path: string, inputs: readonly JsonInput[]): Promise<CsvSample[]> {
  const sizes = inputs.map((input) => sizeOf(path, input));
  const expected = sizes.reduce((sum, size) => sum + size, 0);
  const rows = parseRows(await readText(path, undefined), path, /\.tsv$/i.test(path) ? '\t' : ',');
  const [first, ...rest] = rows;
  const hasHeader = first?.cells.some((cell) => numberOf(cell) === undefined) ?? false;
  const label = hasHeader
    ? (first?.cells.findIndex((cell) => labelNames.includes(cell.toLowerCase())) ?? -1)
    : -1;
  const body = hasHeader ? rest : rows;
  if (body.length === 0)
    throw new DataError(`${path}: expected rows of ${expected} numbers, got none.`, { path });
  return body.map(({ line, cells }) => {
    const place = `${path}, line ${line}`;
    const numbers = cells.filter((_, column) => column !== label);
    if (numbers.length !== expected)
      throw new DataError(
        `${place}: expected ${expected} numbers (${inputs.map(({ name, shape }) => `${name}: ${shape.join(' x ') || 'one'}`).join(', ')}), ` +
          `got ${numbers.length} cells. Give one column per number, and name a column of classes "label".`,
        { path, line },
      );
    const values = numbers.map((cell, column) => {
      const value = numberOf(cell);
      if (value !== undefined) return value;
      throw new DataError(`${place}: expected a number in cell ${column + 1}, got "${cell}".`, {
        path,
        line,
      });
    });
    let start = 0;
    const parts = inputs.map(({ shape }, i) => {
      const own = values.slice(start, (start += sizes[i] ?? 0));
      return { values: own, shape: shape.map(Number) };
    });
    return { line, inputs: parts, label: label < 0 ? undefined : labelOf(cells[label] ?? '') };
  });
}

function sizeOf(path: string, { name, shape }: JsonInput): number {
  if (shape.includes(null))
    throw new DataError(
      `${path}: expected a model whose inputs have a fixed size, got ${shape.map((size) => size ?? 'any').join(' x ')} for the input "${name}". ` +
        'Write the samples as JSON, for example samples.json.',
      { path },
    );
  return shape.reduce<number>((product, size) => product * Number(size), 1);
}

/** Undefined for a cell that is not a finite number. */
function numberOf(cell: string): number | undefined {
  const value = cell === '' ? Number.NaN : Number(cell);
  return Number.isFinite(value) ? value : undefined;
}

const labelOf = (cell: string): number | string | undefined =>
  cell === '' ? undefined : /^\d+$/.test(cell) ? Number(cell) : cell;
