/**
 * One worker's view of a generation's data plane: who takes part, which shards each owns, how many bytes a frame of
 * each kind must have. Pure arithmetic shared by the algorithms; opens no socket.
 */

import { chunkRange, shardRanges } from '../sharding/ranges.js';
import { foldTree, maximalSubtrees, rootLevel, type TreeNode } from '../sharding/tree.js';
import type { Generation, Range, Rank } from '../words.js';
import { combineInto, type Vector, type VectorReduction } from './reduction.js';

export interface MeshPlan {
  readonly runTag: bigint;
  readonly generation: Generation;
  readonly rank: Rank;
  readonly worldSize: number;
  readonly shards: number;
}

export class Mesh {
  readonly plan: MeshPlan;
  readonly ranges: readonly Range[];
  readonly subtrees: readonly (readonly TreeNode[])[];
  readonly others: readonly Rank[];

  constructor(plan: MeshPlan) {
    this.plan = plan;
    this.ranges = shardRanges(plan.shards, plan.worldSize);
    this.subtrees = this.ranges.map((range) => maximalSubtrees(range, plan.shards));
    this.others = this.ranges.map((_, rank) => rank as Rank).filter((rank) => rank !== plan.rank);
  }

  get localShards(): Range {
    return this.ranges[this.plan.rank] ?? { start: 0, end: 0 };
  }

  chunk(elementCount: number, owner: number): Range {
    return chunkRange(elementCount, this.plan.worldSize, owner);
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
        (left, right) => combineInto(reduction, left, right),
      ),
    );
  }

  /** The root of the tree from everybody's partials, `partials[rank][i]` for the i-th maximal subtree of `rank`. */
  foldAll<T extends Vector>(reduction: VectorReduction, partials: readonly (readonly T[])[]): T {
    const byNode = new Map<string, T>();
    for (const [rank, nodes] of this.subtrees.entries()) {
      for (const [i, node] of nodes.entries()) {
        const partial = partials[rank]?.[i];
        if (partial) byNode.set(`${node.level}/${node.index}`, partial);
      }
    }
    return foldTree(
      { level: rootLevel(this.plan.shards), index: 0 },
      this.plan.shards,
      ({ level, index }) => byNode.get(`${level}/${index}`),
      (left, right) => combineInto(reduction, left, right),
    );
  }
}
