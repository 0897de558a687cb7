/**
 * One worker's view of a generation's data plane: who takes part, which shards each owns, how many bytes a frame of
 * each kind must have. Pure arithmetic shared by the algorithms; opens no socket.
 */

import { foldTree, maximalSubtrees, rootLevel, type TreeNode } from '../sharding/tree.js';
import { inTwoLevels, type CollectiveChoice } from './cost.js';
import { routeOf, type Route } from './route.js';
import type { Generation, Range, Rank } from '../sharding/identifiers.js';
import {
  bytesPerElement,
  combine,
  portable,
  vectorOver,
  type Arithmetic,
  type Vector,
  type VectorReduction,
} from './reduction.js';

export interface MeshPlan {
  readonly runTag: bigint;
  readonly generation: Generation;
  readonly rank: Rank;
  readonly shards: number;
  /** The shards that each rank owns, in order of rank: contiguous, together 0..shards-1. */
  readonly ranges: readonly Range[];
  /** The host of each rank; default: all on one. */
  readonly hosts?: readonly string[] | undefined;
  readonly collective?: CollectiveChoice | undefined;
  /** Takes the place of loops in JavaScript; the same bits. */
  readonly arithmetic?: Partial<Arithmetic> | undefined;
}

/** Vectors of more bytes than this go by reduce-scatter + all-gather. */
export const oneHopBytes = 32 * 1024;

function hostsOf({ ranges, hosts }: MeshPlan): Rank[][] {
  const groups: Rank[][] = [];
  for (const rank of ranges.keys()) {
    const same = rank > 0 && hosts?.[rank] === hosts?.[rank - 1];
    if (same) groups.at(-1)?.push(rank as Rank);
    else groups.push([rank as Rank]);
  }
  return groups;
}

export class Mesh {
  readonly plan: MeshPlan;
  readonly subtrees: readonly (readonly TreeNode[])[];
  readonly others: readonly Rank[];
  /** Ranks in a row that are on one host. */
  readonly hosts: readonly (readonly Rank[])[];
  readonly arithmetic: Arithmetic;

  constructor(plan: MeshPlan) {
    this.plan = plan;
    this.hosts = hostsOf(plan);
    this.arithmetic = { ...portable, ...plan.arithmetic };
    this.subtrees = plan.ranges.map((range) => maximalSubtrees(range, plan.shards));
    this.others = plan.ranges.map((_, rank) => rank as Rank).filter((rank) => rank !== plan.rank);
  }

  get ranges(): readonly Range[] {
    return this.plan.ranges;
  }

  get worldSize(): number {
    return this.plan.ranges.length;
  }

  get localShards(): Range {
    return this.ranges[this.plan.rank] ?? { start: 0, end: 0 };
  }

  /** The way of a collective of so many bytes; the same on every worker. */
  route(elements: number, bytes: number): Route {
    const small = bytes <= oneHopBytes;
    const sizes = this.hosts.map((ranks) => ranks.length);
    const choice = this.plan.collective ?? 'auto';
    const two = inTwoLevels(choice, sizes, { bytes, buckets: 1, small });
    return routeOf(two ? this.hosts : [this.hosts.flat()], elements, small);
  }

  /** What a group sends of its own: the maximal subtrees of all its shards. */
  subtreesOf(group: readonly Rank[]): TreeNode[] {
    const ranges = group.map((rank) => this.ranges[rank]).filter((range) => range !== undefined);
    const [first, last] = [ranges[0], ranges.at(-1)];
    return first && last ? maximalSubtrees({ start: first.start, end: last.end }, this.plan.shards) : [];
  }

  /**
   * This worker's partials: one vector for each of its maximal subtrees, combined in place over its shards' vectors.
   * `inputs[i]` belongs to the i-th local shard; all are overwritten.
   */
  foldLocal<T extends Vector>(reduction: VectorReduction, inputs: readonly T[]): T[] {
    const first = this.localShards.start;
    if (reduction === 'sum-bfloat16')
      for (const leaf of inputs) this.arithmetic.roundBfloat16(leaf as Float32Array);
    return (this.subtrees[this.plan.rank] ?? []).map((node) =>
      foldTree(
        node,
        this.plan.shards,
        ({ level, index }) => (level === 0 ? inputs[index - first] : undefined),
        (left, right) => this.#combine(reduction, left, left, right),
      ),
    );
  }

  /**
   * The root of the tree from everybody's partials, `partials[rank][i]` for the i-th maximal subtree of `rank`, written to
   * `output`. The partials are only read: they may lie in other workers' memory.
   */
  foldAll<T extends Vector>(
    reduction: VectorReduction,
    partials: readonly (readonly T[])[],
    output: T,
    scratch: Scratch,
  ): void {
    const known: Known<T> = new Map();
    for (const [rank, nodes] of this.subtrees.entries()) addKnown(known, nodes, partials[rank] ?? []);
    this.foldRoot(reduction, known, output, scratch);
  }

  /** The root of the tree, written to `output`. */
  foldRoot<T extends Vector>(reduction: VectorReduction, known: Known<T>, output: T, scratch: Scratch): void {
    const root = this.fold(
      { level: rootLevel(this.plan.shards), index: 0 },
      reduction,
      known,
      output,
      scratch,
    );
    if (root !== output) output.set(root);
  }

  /**
   * The value of a node from known ones below it, or itself: in `output`, or the known vector itself where nothing is combined.
   * Scratch is free again afterwards.
   */
  fold<T extends Vector>(
    node: TreeNode,
    reduction: VectorReduction,
    known: Known<T>,
    output: T,
    scratch: Scratch,
  ): T {
    const own = new Set<T>();
    const take = (): T => {
      const taken = own.size === 0 ? output : (scratch.take(own.size, reduction, output.length) as T);
      own.add(taken);
      return taken;
    };
    const value = foldTree(
      node,
      this.plan.shards,
      (below) => known.get(keyOf(below)),
      (left, right) => this.#combine(reduction, own.has(left) ? left : take(), left, right),
    );
    if (value === output || !own.has(value)) return value;
    output.set(value);
    return output;
  }

  #combine<T extends Vector>(reduction: VectorReduction, out: T, left: T, right: T): T {
    return combine(reduction, this.arithmetic, out, left, right);
  }
}

/** Values of nodes of the tree. */
export type Known<T extends Vector = Vector> = Map<string, T>;

const keyOf = ({ level, index }: TreeNode): string => `${level}/${index}`;

export function addKnown<T extends Vector>(
  known: Known<T>,
  nodes: readonly TreeNode[],
  values: readonly T[],
): void {
  for (const [i, node] of nodes.entries()) {
    const value = values[i];
    if (value) known.set(keyOf(node), value);
  }
}

/** Vectors for the inner nodes of a tree, kept between uses. */
export class Scratch {
  readonly #vectors = new Map<number, Vector>();

  take(index: number, reduction: VectorReduction, length: number): Vector {
    const held = this.#vectors.get(index);
    if (held?.length === length) return held;
    const made = vectorOver(reduction, new ArrayBuffer(length * bytesPerElement(reduction)));
    this.#vectors.set(index, made);
    return made;
  }
}
