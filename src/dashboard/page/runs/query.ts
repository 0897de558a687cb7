/**
 * Searches and sorts runs. A search consists of words, all of which must occur in a run's names, outcome, error, tags or note, and of conditions
 * such as `testAccuracy>98%`, `outcome=failed` or `optimizer.learningRate<0.01`. A condition names a column or a field of the
 * configuration.
 */

import type { RunSummary } from '../../../shared/runs/run-list.js';
import { flatten } from '../../../shared/config/flatten.js';
import { runColumns, type CellValue } from './columns.js';

type Test = (run: RunSummary) => boolean;

/** Returns the runs that match the whole search, in their order. */
export function search(runs: readonly RunSummary[], text: string): RunSummary[] {
  const tests = text.split(/\s+/).flatMap((term) => (term === '' ? [] : [testOf(term)]));
  return runs.filter((run) => tests.every((test) => test(run)));
}

/** @param sort key of a column; a minus sign reverses the order. Runs without the value come last in both orders. */
export function sorted(runs: readonly RunSummary[], sort: string): RunSummary[] {
  const column = runColumns.find(({ key }) => key === sort.replace(/^-/, ''));
  if (!column) return [...runs];
  const sign = sort.startsWith('-') ? -1 : 1;
  const rows = runs.map((run) => ({ run, value: column.value(run) }));
  rows.sort((a, b) => {
    if (a.value === null || b.value === null) return Number(a.value === null) - Number(b.value === null);
    return sign * compare(a.value, b.value);
  });
  return rows.map(({ run }) => run);
}

function compare(a: string | number, b: string | number): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return String(a).localeCompare(String(b), 'en', { numeric: true });
}

function testOf(term: string): Test {
  const [, field = '', operator = '', text = ''] = /^([\w.]+)(<=|>=|!=|=|<|>)(.+)$/.exec(term) ?? [];
  if (operator === '') {
    const word = term.toLowerCase();
    return ({ name, config, outcome, error, tags, note }) =>
      [name, config?.name ?? '', outcome, error ?? '', note ?? '', ...tags].some((held) =>
        held.toLowerCase().includes(word),
      );
  }
  return (run) => {
    const value = valueOf(run, field);
    if (value === undefined) return false;
    const wanted = text.endsWith('%') ? Number(text.slice(0, -1)) / 100 : Number(text);
    const isEqual =
      typeof value === 'number' && !Number.isNaN(wanted)
        ? value === wanted
        : String(value).toLowerCase() === text.toLowerCase();
    if (operator === '=') return isEqual;
    if (operator === '!=') return !isEqual;
    if (typeof value !== 'number' || Number.isNaN(wanted)) return false;
    if (operator === '<') return value < wanted;
    if (operator === '>') return value > wanted;
    return operator === '<=' ? value <= wanted : value >= wanted;
  };
}

/** Returns the value of a column or of a field of the configuration; undefined if the run has no such field. */
function valueOf(run: RunSummary, field: string): CellValue | boolean | undefined {
  const name = field.toLowerCase();
  const column = runColumns.find(({ key }) => key.toLowerCase() === name);
  if (column) return column.value(run);
  return flatten(run.config ?? {}).find(([path]) => path.toLowerCase() === name)?.[1];
}
