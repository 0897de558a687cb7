/** Slurm's notation for lists of nodes, for example `n[001-003,007]`, `a[1-2],b3` or `r[0-1]n[0-3]`. */

import { ConfigError } from '../../shared/errors.js';

/** A list with more nodes than this is refused: a range such as `[1-999999999]` would exhaust the memory. */
const mostNodes = 65_536;

/**
 * Returns the names in the order of the list. Numbers keep their leading zeros. The last brackets of a name vary fastest.
 * @throws ConfigError if the text is malformed
 */
export function expandNodeList(list: string): string[] {
  const names = splitOutsideBrackets(list).flatMap((entry) => expand(entry, list));
  if (names.length === 0 || names.length > mostNodes) throw malformed(list);
  return names;
}

/** Splits at commas that are not inside brackets. */
function splitOutsideBrackets(list: string): string[] {
  return list.split(/,(?![^[\]]*\])/);
}

/** Expands the first brackets of an entry and continues with the rest. */
function expand(entry: string, list: string): string[] {
  const match = /^([^[\]]*)(?:\[([^[\]]*)\](.*))?$/.exec(entry);
  const [, before = '', ranges, rest = ''] = match ?? [];
  if (!match || (before === '' && ranges === undefined)) throw malformed(list);
  if (ranges === undefined) return [before];
  const tails = rest === '' ? [''] : expand(rest, list);
  const numbers = ranges.split(',').flatMap((range) => numbersOf(range, list));
  if (numbers.length * tails.length > mostNodes) throw malformed(list);
  return numbers.flatMap((number) => tails.map((tail) => `${before}${number}${tail}`));
}

function numbersOf(range: string, list: string): string[] {
  const match = /^(\d+)(?:-(\d+))?$/.exec(range);
  if (!match) throw malformed(list);
  const [, first = '', last = first] = match;
  const count = Number(last) - Number(first) + 1;
  if (count < 1 || count > mostNodes) throw malformed(list);
  return Array.from({ length: count }, (_, i) => String(Number(first) + i).padStart(first.length, '0'));
}

function malformed(list: string): ConfigError {
  return new ConfigError(
    `List of nodes "${list.slice(0, 200)}": expected Slurm's notation, for example n[001-003,007], got another one. ` +
      'Set MASTER_ADDR to the host of task 0.',
  );
}
