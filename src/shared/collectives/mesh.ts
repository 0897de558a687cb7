/**
 * One worker's view of a generation's data plane: who takes part, which shards each owns, how many bytes a frame of
 * each kind must have. Pure arithmetic shared by the algorithms; opens no socket.
 */

import { chunkRange } from '../sharding/ranges.js';
import { foldTree, maximalSubtrees, rootLevel, type TreeNode } from '../sharding/tree.js';
import type { Generation, Range, Rank } from '../words.js';
import { combineInto, portable, type Arithmetic, type Vector, type VectorReduction } from './reduction.js';

export interface MeshPlan {
  readonly runTag: bigint;
  readonly generation: Generation;
  readonly rank: Rank;
  readonly shards: number;
  /** The shards that each rank owns, in order of rank: contiguous, together 0..shards-1. */
  readonly ranges: readonly Range[];
  /** Takes the place of loops in JavaScript; the same bits. */
  readonly arithmetic?: Partial<Arithmetic> | undefined;
}

export class Mesh {
  readonly plan: MeshPlan;
  readonly subtrees: readonly (readonly TreeNode[])[];
  readonly others: readonly Rank[];
  readonly arithmetic: Arithmetic;

  constructor(plan: MeshPlan) {
    this.plan = plan;
    const { add = portable.add, checksum = portable.checksum } = plan.arithmetic ?? {};
    this.arithmetic = { add, checksum };
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

  chunk(elementCount: number, owner: number): Range {
    return chunkRange(elementCount, this.worldSize, owner);
  }

  /**
   * This worker's partials: one vector for each of its maximal subtrees, combined in place over its shards' vectors.
   * `inputs[i]` belongs to the i-th local shard; all are overwritten.
   */
  foldLocal<T extends Vector>(reduction: VectorReduction, inputs: readonly T[]): T[] {
    const first = this.localShards.start;
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
    const byNode = new Map<string, T>();
    for (const [rank, nodes] of this.subtrees.entries()) {
      for (const [i, node] of nodes.entries()) {
        const partial = partials[rank]?.[i];
        if (partial) byNode.set(`${node.level}/${node.index}`, partial);
      }
    }
    const own = new Set<T>();
    const take = (): T => {
      const taken = own.size === 0 ? output : (scratch.take(own.size, reduction, output.length) as T);
      own.add(taken);
      return taken;
    };
    const root = foldTree(
      { level: rootLevel(this.plan.shards), index: 0 },
      this.plan.shards,
      ({ level, index }) => byNode.get(`${level}/${index}`),
      (left, right) => this.#combine(reduction, own.has(left) ? left : take(), left, right),
    );
    if (root !== output) output.set(root);
  }

  #combine<T extends Vector>(reduction: VectorReduction, out: T, left: T, right: T): T {
    if (reduction === 'sum-float32') {
      this.arithmetic.add(out as Float32Array, left as Float32Array, right as Float32Array);
      return out;
    }
    if (out !== left) out.set(left);
    return combineInto(reduction, out, right);
  }
}

/** Vectors for the inner nodes of a tree, kept between uses. */
export class Scratch {
  readonly #vectors = new Map<number, Vector>();

  take(index: number, reduction: VectorReduction, length: number): Vector {
    const held = this.#vectors.get(index);
    if (held?.length === length) return held;
    const made = reduction === 'sum-float32' ? new Float32Array(length) : new Float64Array(length);
    this.#vectors.set(index, made);
    return made;
  }
}
