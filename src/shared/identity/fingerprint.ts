/**
 * The fingerprint of a process: hashes of what it runs, by name. Two workers with equal fingerprints run the same code with the same
 * engine, have loaded the same definition, and have built the same model from it. Pure.
 */

import { createHash } from 'node:crypto';
import { z } from 'zod';

/** Values, usually hashes, by name. */
export type Entries = Readonly<Record<string, string>>;

const maxEntries = 4_096;
/** Longest total of the names of one group, so that a fingerprint fits into a control message. */
const maxNameLength = 96 * 1024;

const entries = z
  .record(z.string().max(4_352), z.string().max(128))
  .refine((record) => Object.keys(record).length <= maxEntries, `must have at most ${maxEntries} entries`);

export const fingerprintSchema = z.strictObject({
  /** The files of Lockstep itself. */
  code: entries,
  /** Versions of tfjs's packages, and the binaries of the engine. */
  engine: entries,
  /** The definition's file and the local files that it imports. */
  definition: entries,
  /** The definition's losses, metrics and augmentations. */
  functions: entries,
  /** The layers of the model. */
  layers: entries,
  /** The definition's plain values, which the coordinator's replace. */
  values: entries,
});
export type Fingerprint = Readonly<z.infer<typeof fingerprintSchema>>;
export type FingerprintGroup = keyof Fingerprint;
export const fingerprintGroups = Object.keys(fingerprintSchema.shape) as FingerprintGroup[];

/** The first 16 hex digits of the SHA-256. */
export const shortHash = (content: string | Uint8Array): string =>
  createHash('sha256').update(content).digest('hex').slice(0, 16);

/** Replaces too many entries by one with the hash of all. */
export function boundedEntries(found: Entries): Entries {
  const names = Object.keys(found).sort();
  const length = names.reduce((sum, name) => sum + name.length, 0);
  if (names.length <= maxEntries && length <= maxNameLength) return found;
  return { [`one of ${names.length}`]: shortHash(JSON.stringify(names.map((name) => [name, found[name]]))) };
}

export interface Difference {
  readonly group: FingerprintGroup;
  readonly name: string;
  readonly expected: string;
  readonly got: string;
  /** Number of other differences in the group. */
  readonly others: number;
}

/** Returns the first difference in the first of the groups that has one. A group that one side lacks is not compared. */
export function firstDifference(
  expected: Partial<Fingerprint>,
  got: Partial<Fingerprint>,
  groups: readonly FingerprintGroup[],
): Difference | undefined {
  for (const group of groups) {
    const [left, right] = [expected[group], got[group]];
    if (left === undefined || right === undefined || left === right) continue;
    const different = namesOf(group, left, right).filter((name) => left[name] !== right[name]);
    const [name] = different;
    if (name === undefined) continue;
    const [was = 'none', is = 'none'] = [left[name], right[name]];
    return { group, name, expected: was, got: is, others: different.length - 1 };
  }
  return undefined;
}

/**
 * A file of Lockstep that only one side has is left over from an earlier build: where it is imported, the importing file differs too.
 */
function namesOf(group: FingerprintGroup, left: Entries, right: Entries): string[] {
  const all = [...new Set([...Object.keys(left), ...Object.keys(right)])];
  if (group !== 'code') return all;
  const common = all.filter((name) => name in left && name in right);
  return common.length > 0 ? common : all;
}

/** Describes a difference, e.g. `dist/a.js: expected 0123…, got 4567…`. */
export function describeDifference({ name, expected, got, others }: Difference, from: string): string {
  const more = others === 0 ? '' : ` (and ${others} more)`;
  return `${name}${more}: expected ${expected}, got ${got} from ${from}`;
}
