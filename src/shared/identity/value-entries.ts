/** The plain values of a training definition as entries of a fingerprint. */

import { boundedEntries, shortHash, type Entries } from './fingerprint.js';

const maxShown = 64;

/** Short values are entered as JSON, so that a difference can show them. */
export function valueEntries(values: Readonly<Record<string, unknown>>): Entries {
  const entryOf = (value: unknown): string => {
    const text = (JSON.stringify(value) as string | undefined) ?? 'undefined';
    return text.length <= maxShown ? text : shortHash(text);
  };
  return boundedEntries(
    Object.fromEntries(Object.entries(values).map(([name, value]) => [name, entryOf(value)])),
  );
}
