/**
 * The route of a collective: the elements that each worker sums, in one level or in two. Pure arithmetic with the same result on every
 * worker. Sends nothing and sums nothing.
 *
 * With one level, all workers form one group. With two levels, the workers of each host form a group. Each worker has a reduce range and,
 * inside this range, owned ranges. A worker owns an element if its owned ranges contain the element. An element has one owner, except in a
 * small vector, whose elements have several. A round has these steps:
 *
 * 1. Each worker sums the partials of its group over its reduce range. With one group, this sum is the result.
 * 2. With several groups, each worker sends its group's sums to the owners in the other groups. An owner adds up the sums of all
 *    groups over its owned ranges. It then sends the result to the workers from which it has received sums.
 * 3. Each worker sends the result over its reduce range to the other workers of its group.
 *
 * A small vector is not divided into chunks: every worker with a reduce range computes the sums of all elements. Step 2 then sends no
 * result back. If a small vector has only one group, each worker has the result after step 1, and step 3 is left out. For n workers on h
 * hosts with m workers each:
 *
 * ```
 *                        reduce range    owned ranges                messages sent per worker              hops
 *   one hop              all elements    all elements                n-1                                   1
 *   one level            chunk j of n    chunk j of n                2(n-1)                                2
 *   two levels, small    all or none     all or none                 first worker of a host: (m-1)+(h-1)   3
 *                                                                    every other worker: 1
 *   two levels           chunk j of m    part i of h of this chunk   2(m-1) + 2(h-1)                       4
 * ```
 *
 * In the row "two levels, small", the first worker of each host has all elements, and the other workers have none. With one level, each
 * worker sends 2(n-1)/n of the vector, which is optimal (Thakur, Rabenseifner & Gropp 2005). With two levels, each worker sends
 * 2(h-1)/h of its chunk to other hosts. If the hosts have different numbers of workers, their chunks overlap, and a worker can own
 * several ranges.
 */

import { chunkRange } from '../sharding/ranges.js';
import type { Range, Rank } from '../sharding/identifiers.js';

export interface Route {
  readonly groups: readonly (readonly Rank[])[];
  /** The reduce range of each rank. A worker with an empty range reduces nothing. */
  readonly reduceRanges: readonly Range[];
  /** The owned ranges of each rank. They lie inside its reduce range. */
  readonly ownedRanges: readonly (readonly Range[])[];
  /**
   * True if the vector is not divided into chunks. Every worker with a reduce range then computes the result for all elements by itself, so
   * no result is sent between groups.
   */
  readonly replicated: boolean;
}

/**
 * @param elements number of elements of the vector
 * @param oneHop true: the vector is not divided into chunks
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
 * The work of one worker in each round: the elements that it reduces, sends to each peer and expects from each peer. A range in a `...To`
 * map of the sender is also in the `...From` map of the receiver.
 */
export interface PeerSchedule {
  /** Elements over which this worker reduces its group's partials. */
  readonly reduceRange: Range;
  /** Elements over which this worker reduces the partials of all groups. */
  readonly ownedRanges: readonly Range[];
  /** Partials of single workers, exchanged with workers of the same group. A worker sends them over the receiver's reduce range. */
  readonly reduceScatterTo: ReadonlyMap<Rank, Range>;
  readonly reduceScatterFrom: ReadonlySet<Rank>;
  /** Partials of whole groups, exchanged with workers of other groups. */
  readonly interGroupReduceTo: ReadonlyMap<Rank, readonly Range[]>;
  readonly interGroupReduceFrom: ReadonlyMap<Rank, readonly Range[]>;
  /** Sums over all groups, exchanged with workers of other groups. */
  readonly interGroupBroadcastTo: ReadonlyMap<Rank, readonly Range[]>;
  readonly interGroupBroadcastFrom: ReadonlyMap<Rank, readonly Range[]>;
  /** The result, exchanged with workers of the same group. */
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
