/**
 * The geometry of a generation as seen by one worker: the ranks, the shards and the host of each rank, the tree over the shards, and the
 * route of each collective. Pure arithmetic that depends on the plan alone. Opens no socket and has no state.
 */

import { foldTree, maximalSubtrees, rootLevel, type TreeNode } from '../sharding/tree.js';
import type { Range, Rank } from '../sharding/identifiers.js';
import { inTwoLevels, type CollectiveChoice } from './cost.js';
import { addNodeValues, keyOf, type NodeValues, type Scratch } from './node-values.js';
import { combine, portable, type Arithmetic, type Vector, type VectorReduction } from './reduction.js';
import { routeOf, type Route } from './route.js';

export interface MeshGeometry {
  readonly rank: Rank;
  readonly shards: number;
  /** The shards of each rank, in order of rank: contiguous, together 0..shards-1. */
  readonly ranges: readonly Range[];
  /** The host of each rank; default: one host. */
  readonly hosts?: readonly string[] | undefined;
  readonly collective?: CollectiveChoice | undefined;
  /** Replaces the loops in JavaScript; computes the same bits. */
  readonly arithmetic?: Partial<Arithmetic> | undefined;
}

/**
 * Largest vector, in bytes, that is reduced as a whole. A larger vector is divided into chunks and reduced by reduce-scatter and
 * all-gather.
 */
export const oneHopBytes = 32 * 1024;

function hostsOf({ ranges, hosts }: MeshGeometry): Rank[][] {
  const groups: Rank[][] = [];
  for (const rank of ranges.keys()) {
    const same = rank > 0 && hosts?.[rank] === hosts?.[rank - 1];
    if (same) groups.at(-1)?.push(rank as Rank);
    else groups.push([rank as Rank]);
  }
  return groups;
}

export class Mesh {
  readonly rank: Rank;
  readonly shards: number;
  readonly ranges: readonly Range[];
  /** The maximal subtrees of each rank's shards. A rank has one partial for each of them. */
  readonly subtrees: readonly (readonly TreeNode[])[];
  readonly others: readonly Rank[];
  /** Consecutive ranks that are on one host. */
  readonly hosts: readonly (readonly Rank[])[];
  readonly arithmetic: Arithmetic;
  readonly #collective: CollectiveChoice;

  constructor(geometry: MeshGeometry) {
    const { rank, shards, ranges, collective = 'auto', arithmetic } = geometry;
    this.rank = rank;
    this.shards = shards;
    this.ranges = ranges;
    this.hosts = hostsOf(geometry);
    this.arithmetic = { ...portable, ...arithmetic };
    this.subtrees = ranges.map((range) => maximalSubtrees(range, shards));
    this.others = ranges.map((_, other) => other as Rank).filter((other) => other !== rank);
    this.#collective = collective;
  }

  get worldSize(): number {
    return this.ranges.length;
  }

  get localShards(): Range {
    return this.ranges[this.rank] ?? { start: 0, end: 0 };
  }

  /** The route of a collective over this many elements and bytes; the same on every worker. */
  route(elements: number, bytes: number): Route {
    const oneHop = bytes <= oneHopBytes;
    const sizes = this.hosts.map((ranks) => ranks.length);
    const twoLevels = inTwoLevels(this.#collective, sizes, { bytes, buckets: 1, small: oneHop });
    return routeOf(twoLevels ? this.hosts : [this.hosts.flat()], elements, oneHop);
  }

  /** The maximal subtrees of a group's shards; their values are the group's partials. */
  subtreesOf(group: readonly Rank[]): TreeNode[] {
    const ranges = group.map((rank) => this.ranges[rank]).filter((range) => range !== undefined);
    const [first, last] = [ranges[0], ranges.at(-1)];
    return first && last ? maximalSubtrees({ start: first.start, end: last.end }, this.shards) : [];
  }

  /**
   * Returns this worker's partials, one vector per maximal subtree. `inputs[i]` is the vector of the i-th local shard. The sums are
   * computed in place, so all inputs are overwritten.
   */
  foldLocal<T extends Vector>(reduction: VectorReduction, inputs: readonly T[]): T[] {
    const first = this.localShards.start;
    if (reduction === 'sum-bfloat16')
      for (const leaf of inputs) this.arithmetic.roundBfloat16(leaf as Float32Array);
    return (this.subtrees[this.rank] ?? []).map((node) =>
      foldTree(
        node,
        this.shards,
        ({ level, index }) => (level === 0 ? inputs[index - first] : undefined),
        (left, right) => this.#combine(reduction, left, left, right),
      ),
    );
  }

  /**
   * Computes the value of the root from the partials of all workers and writes it to `output`. `partials[rank][i]` is the partial of the
   * i-th maximal subtree of `rank`. The partials are only read, because they can lie in the memory of other workers.
   */
  foldAll<T extends Vector>(
    reduction: VectorReduction,
    partials: readonly (readonly T[])[],
    output: T,
    scratch: Scratch,
  ): void {
    const values: NodeValues<T> = new Map();
    for (const [rank, nodes] of this.subtrees.entries()) addNodeValues(values, nodes, partials[rank] ?? []);
    this.foldRoot(reduction, values, output, scratch);
  }

  /** Writes the value of the root to `output`. */
  foldRoot<T extends Vector>(
    reduction: VectorReduction,
    values: NodeValues<T>,
    output: T,
    scratch: Scratch,
  ): void {
    const root = this.fold({ level: rootLevel(this.shards), index: 0 }, reduction, values, output, scratch);
    if (root !== output) output.set(root);
  }

  /**
   * Returns the value of a node. `values` has the value of the node itself or the values of nodes below it. The result is `output`, or the
   * vector in `values` if nothing had to be combined. The scratch can be reused afterwards.
   */
  fold<T extends Vector>(
    node: TreeNode,
    reduction: VectorReduction,
    values: NodeValues<T>,
    output: T,
    scratch: Scratch,
  ): T {
    const writable = new Set<T>();
    const nextWritable = (): T => {
      const size = writable.size;
      const vector = size === 0 ? output : (scratch.vector(size, reduction, output.length) as T);
      writable.add(vector);
      return vector;
    };
    const value = foldTree(
      node,
      this.shards,
      (below) => values.get(keyOf(below)),
      (left, right) => this.#combine(reduction, writable.has(left) ? left : nextWritable(), left, right),
    );
    if (value === output || !writable.has(value)) return value;
    output.set(value);
    return output;
  }

  #combine<T extends Vector>(reduction: VectorReduction, out: T, left: T, right: T): T {
    return combine(reduction, this.arithmetic, out, left, right);
  }
}
