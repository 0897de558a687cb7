/**
 * The route of a collective: which elements each worker reduces, in one level or in two. Pure arithmetic, the same on every worker;
 * sends nothing and reduces nothing.
 *
 * Workers form groups: one group of all, or one per host. Each worker has a reduce range and, inside it, owned ranges. It does this:
 *
 * 1. It sums the partials of its group over its reduce range.
 * 2. With several groups, it sums these group sums of all groups over its owned ranges. It sends the result to each worker of
 *    another group whose reduce range contains it.
 * 3. It sends the result over its whole reduce range to its group.
 *
 * ```
 *                      reduce range          owned ranges         messages sent per worker   hops
 *   one hop            all, everywhere       all, everywhere      n-1                        1
 *   one level          chunk j of n          the same             2(n-1)                     2
 *   two levels, small  all, first of a host  all, first of a host m-1 + h-1 by the first     3
 *   two levels         chunk j of m          part i of h of it    2(m-1) + 2(h-1)            4
 * ```
 *
 * for n workers on h hosts of m each. In one level each worker sends 2(n-1)/n of the vector, which is optimal (Thakur, Rabenseifner &
 * Gropp 2005); in two levels each worker sends 2(h-1)/h of its chunk to other hosts. Hosts of different sizes have chunks that
 * overlap, and a worker then owns several ranges.
 */

import { chunkRange } from '../sharding/ranges.js';
import type { Range, Rank } from '../sharding/identifiers.js';

export interface Route {
  readonly groups: readonly (readonly Rank[])[];
  /** By rank; empty: the worker reduces nothing. */
  readonly reduceRanges: readonly Range[];
  /** By rank, inside the reduce range. */
  readonly ownedRanges: readonly (readonly Range[])[];
  /** True if every owner owns all elements: each owner computes every sum itself, and no sum is broadcast between groups. */
  readonly replicated: boolean;
}

/**
 * @param elements of the vector
 * @param oneHop one hop inside a group and one between groups, instead of reduce-scatter and all-gather
 */
export function routeOf(groups: readonly (readonly Rank[])[], elements: number, oneHop: boolean): Route {
  const all: Range = { start: 0, end: elements };
  const none: Range = { start: 0, end: 0 };
  const levels = groups.length > 1 ? 2 : 1;
  const reduceRanges = groups.flatMap((ranks) =>
    ranks.map((_, index): Range => {
      if (!oneHop) return chunkRange(elements, ranks.length, index);
      return levels === 1 || index === 0 ? all : none;
    }),
  );
  const whole = reduceRanges.map((range) => (isEmpty(range) ? [] : [range]));
  if (oneHop || levels === 1) return { groups, reduceRanges, ownedRanges: whole, replicated: oneHop };
  const ownedRanges = reduceRanges.map((): Range[] => []);
  for (const piece of piecesOf(reduceRanges, elements)) {
    for (const [index, ranks] of groups.entries()) {
      const part = chunkRange(piece.end - piece.start, groups.length, index);
      const owner = ranks.find((rank) => intersection(reduceRanges[rank] ?? none, piece));
      if (owner === undefined || isEmpty(part)) continue;
      ownedRanges[owner]?.push({ start: piece.start + part.start, end: piece.start + part.end });
    }
  }
  return { groups, reduceRanges, ownedRanges, replicated: false };
}

/** The vector, cut at the start of each reduce range. */
function piecesOf(reduceRanges: readonly Range[], elements: number): Range[] {
  const starts = [...new Set(reduceRanges.filter((range) => !isEmpty(range)).map(({ start }) => start))];
  starts.sort((a, b) => a - b);
  return starts.map((start, i) => ({ start, end: starts[i + 1] ?? elements }));
}

export const isEmpty = ({ start, end }: Range): boolean => end <= start;

/** Undefined if the ranges have no element in common. */
export function intersection(a: Range, b: Range): Range | undefined {
  const both = { start: Math.max(a.start, b.start), end: Math.min(a.end, b.end) };
  return isEmpty(both) ? undefined : both;
}

/** The elements that a reduce range has in common with each owned range. */
function commonRanges(reduceRange: Range, owned: readonly Range[]): Range[] {
  return owned.flatMap((range) => intersection(range, reduceRange) ?? []);
}

/**
 * The part of one worker in each round: the elements that it reduces, those that it sends to each peer, and those that it expects
 * from each peer. For each entry in a `...To` map of the sender, the receiver has the same range in its `...From` map.
 */
export interface PeerSchedule {
  /** Elements over which this worker reduces its group's partials. */
  readonly reduceRange: Range;
  /** Elements over which this worker reduces the partials of all groups. */
  readonly ownedRanges: readonly Range[];
  /** Partials of single workers, to and from workers of its group; sent over the receiver's reduce range. */
  readonly reduceScatterTo: ReadonlyMap<Rank, Range>;
  readonly reduceScatterFrom: ReadonlySet<Rank>;
  /** Partials of whole groups, to and from workers of other groups. */
  readonly interGroupReduceTo: ReadonlyMap<Rank, readonly Range[]>;
  readonly interGroupReduceFrom: ReadonlyMap<Rank, readonly Range[]>;
  /** Sums over all groups, to and from workers of other groups. */
  readonly interGroupBroadcastTo: ReadonlyMap<Rank, readonly Range[]>;
  readonly interGroupBroadcastFrom: ReadonlyMap<Rank, readonly Range[]>;
  /** The result, to and from workers of its group. */
  readonly allGatherTo: ReadonlySet<Rank>;
  readonly allGatherFrom: ReadonlyMap<Rank, Range>;
}

export function peerScheduleOf(
  { groups, reduceRanges, ownedRanges, replicated }: Route,
  rank: Rank,
): PeerSchedule {
  const rangeOf = (other: Rank): Range => reduceRanges[other] ?? { start: 0, end: 0 };
  const reduceRange = rangeOf(rank);
  const owned = ownedRanges[rank] ?? [];
  const group = groups.find((ranks) => ranks.includes(rank)) ?? [];
  const groupPeers = group.filter((other) => other !== rank);
  const reducers = groupPeers.filter((other) => !isEmpty(rangeOf(other)));
  const otherGroups = groups.filter((ranks) => ranks !== group).flat();
  const everywhere = replicated && groups.length === 1;
  const nonEmpty = (ranges: (other: Rank) => Range[]): Map<Rank, Range[]> =>
    new Map(
      otherGroups.map((other) => [other, ranges(other)] as const).filter(([, found]) => found.length > 0),
    );
  const interGroupReduceTo = nonEmpty((other) => commonRanges(reduceRange, ownedRanges[other] ?? []));
  const interGroupReduceFrom = nonEmpty((other) => commonRanges(rangeOf(other), owned));
  return {
    reduceRange,
    ownedRanges: owned,
    reduceScatterTo: new Map(reducers.map((other) => [other, rangeOf(other)])),
    reduceScatterFrom: new Set(isEmpty(reduceRange) ? [] : groupPeers),
    interGroupReduceTo,
    interGroupReduceFrom,
    // An owner returns its sums to the workers that sent it partials, unless every owner computes all sums itself.
    interGroupBroadcastTo: replicated ? new Map<Rank, Range[]>() : interGroupReduceFrom,
    interGroupBroadcastFrom: replicated ? new Map<Rank, Range[]>() : interGroupReduceTo,
    allGatherTo: new Set(everywhere || isEmpty(reduceRange) ? [] : groupPeers),
    allGatherFrom: new Map(everywhere ? [] : reducers.map((other) => [other, rangeOf(other)])),
  };
}
