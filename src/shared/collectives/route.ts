/**
 * Which way the elements of a collective go: who combines which of them, in one level or in two. Pure arithmetic, the same on
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
  readonly reduceRanges: readonly Range[];
  /** By rank, inside `combined`. */
  readonly ownedRanges: readonly (readonly Range[])[];
  /** Whether each worker that owns elements owns all: sums are computed by all of them and told to nobody outside. */
  readonly replicated: boolean;
}

/** @param elements of the vector; @param small: one hop inside a group and between groups */
export function routeOf(groups: readonly (readonly Rank[])[], elements: number, small: boolean): Route {
  const all: Range = { start: 0, end: elements };
  const none: Range = { start: 0, end: 0 };
  const levels = groups.length > 1 ? 2 : 1;
  const reduceRanges = groups.flatMap((ranks) =>
    ranks.map((_, index): Range => {
      if (!small) return chunkRange(elements, ranks.length, index);
      return levels === 1 || index === 0 ? all : none;
    }),
  );
  const whole = reduceRanges.map((range) => (isEmpty(range) ? [] : [range]));
  if (small || levels === 1) return { groups, reduceRanges, ownedRanges: whole, replicated: small };
  const ownedRanges = reduceRanges.map((): Range[] => []);
  for (const piece of pieces(reduceRanges, elements)) {
    for (const [index, ranks] of groups.entries()) {
      const part = chunkRange(piece.end - piece.start, groups.length, index);
      const owner = ranks.find((rank) => intersection(reduceRanges[rank] ?? none, piece));
      if (owner === undefined || isEmpty(part)) continue;
      ownedRanges[owner]?.push({ start: piece.start + part.start, end: piece.start + part.end });
    }
  }
  return { groups, reduceRanges, ownedRanges, replicated: false };
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
export interface PeerSchedule {
  /** Its own partials, over these elements: to and from its group. */
  readonly reduceScatterTo: ReadonlyMap<Rank, Range>;
  readonly reduceScatterFrom: ReadonlySet<Rank>;
  /** Its group's partials: to and from other groups. */
  readonly interGroupReduceTo: ReadonlyMap<Rank, readonly Range[]>;
  readonly interGroupReduceFrom: ReadonlyMap<Rank, readonly Range[]>;
  /** Sums over all groups: to and from other groups. */
  readonly interGroupBroadcastTo: ReadonlyMap<Rank, readonly Range[]>;
  readonly interGroupBroadcastFrom: ReadonlyMap<Rank, readonly Range[]>;
  /** The result: to and from its group. */
  readonly allGatherTo: ReadonlySet<Rank>;
  readonly allGatherFrom: ReadonlyMap<Rank, Range>;
}

export function peerScheduleOf(
  { groups, reduceRanges, ownedRanges, replicated }: Route,
  rank: Rank,
): PeerSchedule {
  const own = reduceRanges[rank] ?? { start: 0, end: 0 };
  const group = groups.find((ranks) => ranks.includes(rank)) ?? [];
  const mates = group.filter((other) => other !== rank);
  const otherGroups = groups.filter((ranks) => ranks !== group).flat();
  const rangeOf = (other: Rank): Range => reduceRanges[other] ?? { start: 0, end: 0 };
  const busy = mates.filter((other) => !isEmpty(rangeOf(other)));
  const everywhere = replicated && groups.length === 1;
  const pick = (ranges: (other: Rank) => Range[]): Map<Rank, Range[]> =>
    new Map(
      otherGroups.map((other) => [other, ranges(other)] as const).filter(([, found]) => found.length > 0),
    );
  const interGroupReduceTo = pick((other) => common(own, ownedRanges[other] ?? []));
  const interGroupReduceFrom = pick((other) => common(rangeOf(other), ownedRanges[rank] ?? []));
  return {
    reduceScatterTo: new Map(busy.map((other) => [other, rangeOf(other)])),
    reduceScatterFrom: new Set(isEmpty(own) ? [] : mates),
    interGroupReduceTo,
    interGroupReduceFrom,
    // Whoever gave partials of some elements gets their sum, unless it computes all sums itself.
    interGroupBroadcastTo: replicated ? new Map<Rank, Range[]>() : interGroupReduceFrom,
    interGroupBroadcastFrom: replicated ? new Map<Rank, Range[]>() : interGroupReduceTo,
    allGatherTo: new Set(everywhere || isEmpty(own) ? [] : mates),
    allGatherFrom: new Map(everywhere ? [] : busy.map((other) => [other, rangeOf(other)])),
  };
}
