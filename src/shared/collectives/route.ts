/**
 * Which way the elements of an exchange go: who combines which of them, in one level or in two. Pure arithmetic, the same on
 * every worker; opens no socket and sums nothing.
 *
 * Workers form groups (all in one, or those of a host). Inside its group a worker combines everybody's partials over its
 * `combined` elements; between groups it computes the sum over all of them for its `owned` elements, and tells it to the
 * workers of other groups that combined those; at last it tells its group the result over `combined`.
 *
 * ```
 *                      combined             owned                messages a worker         hops
 *   one hop            all, everyone        all, everyone        n-1                       1
 *   direct             chunk j of n         the same             2(n-1)                    2
 *   two levels, small  all, a host's first  all, the same        m-1 + h-1, the first      3
 *   two levels         chunk j of m         part i of h of it    2(m-1) + 2(h-1)           4
 * ```
 * for n workers on h hosts of m each. Hosts may differ in size: then chunks overlap, and a worker owns several parts.
 */

import { chunkRange } from '../sharding/ranges.js';
import type { Range, Rank } from '../sharding/identifiers.js';

export interface Route {
  readonly groups: readonly (readonly Rank[])[];
  /** By rank; empty: the worker combines nothing. */
  readonly combined: readonly Range[];
  /** By rank, inside `combined`. */
  readonly owned: readonly (readonly Range[])[];
  /** Whether each worker that owns elements owns all: sums are computed by all of them and told to nobody outside. */
  readonly replicated: boolean;
}

/** @param elements of the vector; @param small: one hop inside a group and between groups */
export function routeOf(groups: readonly (readonly Rank[])[], elements: number, small: boolean): Route {
  const all: Range = { start: 0, end: elements };
  const none: Range = { start: 0, end: 0 };
  const levels = groups.length > 1 ? 2 : 1;
  const combined = groups.flatMap((ranks) =>
    ranks.map((_, index): Range => {
      if (!small) return chunkRange(elements, ranks.length, index);
      return levels === 1 || index === 0 ? all : none;
    }),
  );
  const whole = combined.map((range) => (isEmpty(range) ? [] : [range]));
  if (small || levels === 1) return { groups, combined, owned: whole, replicated: small };
  const owned = combined.map((): Range[] => []);
  for (const piece of pieces(combined, elements)) {
    for (const [index, ranks] of groups.entries()) {
      const part = chunkRange(piece.end - piece.start, groups.length, index);
      const owner = ranks.find((rank) => intersection(combined[rank] ?? none, piece));
      if (owner === undefined || isEmpty(part)) continue;
      owned[owner]?.push({ start: piece.start + part.start, end: piece.start + part.end });
    }
  }
  return { groups, combined, owned, replicated: false };
}

/** The vector, cut wherever a worker's elements begin. */
function pieces(combined: readonly Range[], elements: number): Range[] {
  const starts = [...new Set(combined.filter((range) => !isEmpty(range)).map(({ start }) => start))];
  starts.sort((a, b) => a - b);
  return starts.map((start, i) => ({ start, end: starts[i + 1] ?? elements }));
}

export const isEmpty = ({ start, end }: Range): boolean => end <= start;

export function intersection(a: Range, b: Range): Range | undefined {
  const both = { start: Math.max(a.start, b.start), end: Math.min(a.end, b.end) };
  return isEmpty(both) ? undefined : both;
}

/** Those elements of `combined` that are among `owned`. */
export function common(combined: Range, owned: readonly Range[]): Range[] {
  return owned.flatMap((range) => intersection(range, combined) ?? []);
}

/** What one worker sends and waits for in each use, by the other's rank; the receiver's list mirrors the sender's. */
export interface Duties {
  /** Its own partials, over these elements: to and from its group. */
  readonly scatterTo: ReadonlyMap<Rank, Range>;
  readonly scatterFrom: ReadonlySet<Rank>;
  /** Its group's partials: to and from other groups. */
  readonly betweenTo: ReadonlyMap<Rank, readonly Range[]>;
  readonly betweenFrom: ReadonlyMap<Rank, readonly Range[]>;
  /** Sums over all groups: to and from other groups. */
  readonly rootsTo: ReadonlyMap<Rank, readonly Range[]>;
  readonly rootsFrom: ReadonlyMap<Rank, readonly Range[]>;
  /** The result: to and from its group. */
  readonly gatherTo: ReadonlySet<Rank>;
  readonly gatherFrom: ReadonlyMap<Rank, Range>;
}

export function dutiesOf({ groups, combined, owned, replicated }: Route, rank: Rank): Duties {
  const own = combined[rank] ?? { start: 0, end: 0 };
  const group = groups.find((ranks) => ranks.includes(rank)) ?? [];
  const mates = group.filter((other) => other !== rank);
  const strangers = groups.filter((ranks) => ranks !== group).flat();
  const rangeOf = (other: Rank): Range => combined[other] ?? { start: 0, end: 0 };
  const busy = mates.filter((other) => !isEmpty(rangeOf(other)));
  const everywhere = replicated && groups.length === 1;
  const pick = (ranges: (other: Rank) => Range[]): Map<Rank, Range[]> =>
    new Map(
      strangers.map((other) => [other, ranges(other)] as const).filter(([, found]) => found.length > 0),
    );
  const betweenTo = pick((other) => common(own, owned[other] ?? []));
  const betweenFrom = pick((other) => common(rangeOf(other), owned[rank] ?? []));
  return {
    scatterTo: new Map(busy.map((other) => [other, rangeOf(other)])),
    scatterFrom: new Set(isEmpty(own) ? [] : mates),
    betweenTo,
    betweenFrom,
    // Whoever gave partials of some elements gets their sum, unless it computes all sums itself.
    rootsTo: replicated ? new Map<Rank, Range[]>() : betweenFrom,
    rootsFrom: replicated ? new Map<Rank, Range[]>() : betweenTo,
    gatherTo: new Set(everywhere || isEmpty(own) ? [] : mates),
    gatherFrom: new Map(everywhere ? [] : busy.map((other) => [other, rangeOf(other)])),
  };
}
