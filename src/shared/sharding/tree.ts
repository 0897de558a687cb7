/**
 * The fixed binary tree over shard ids. All sums over shards are computed along this tree. The bits of a sum therefore depend only on the
 * shards. They do not depend on the assignment of shards to workers or on the order of messages.
 *
 * ```
 *   level 2              (0..3)
 *   level 1        (0,1)        (2,3)
 *   level 0       0     1      2     ·
 * ```
 *
 * The drawing shows the tree of three shards, in which leaf 3 is absent. A node with one present child has the value of this child.
 */

import { invariant } from '../errors.js';
import type { Range } from './identifiers.js';

/** Node (level, index) covers the existing shards of [index * 2^level, (index + 1) * 2^level). */
export interface TreeNode {
  readonly level: number;
  readonly index: number;
}

/** The level of the root for `shards` leaves; there is at least one. */
export function rootLevel(shards: number): number {
  invariant(Number.isInteger(shards) && shards >= 1, `a tree needs at least one shard, got ${shards}`);
  return 32 - Math.clz32(shards - 1);
}

/**
 * Returns the smallest list of nodes that together cover exactly the shards of `range`, in order. The owner of the range sends one partial
 * for each node. The list has at most 2 * log2(shards) nodes. If the range contains the last shard, the absent leaves after it count as
 * part of the range, so that fewer and larger nodes cover it.
 */
export function maximalSubtrees(range: Range, shards: number): TreeNode[] {
  const nodes: TreeNode[] = [];
  const end = range.end === shards ? 2 ** rootLevel(shards) : range.end;
  let start = range.start;
  if (range.start >= range.end) return nodes;
  // The loop stops at `range.end`, because a node that covers absent leaves only has no value.
  while (start < range.end) {
    let level = 0;
    while (start % 2 ** (level + 1) === 0 && start + 2 ** (level + 1) <= end) level++;
    nodes.push({ level, index: start / 2 ** level });
    start += 2 ** level;
  }
  return nodes;
}

/**
 * Returns the value of `node`. This is `known(node)` if it is defined. If it is undefined, the values of the two children are combined,
 * left before right. If a child is absent (all of its shards are >= `shards`), the value of the other child is returned unchanged.
 *
 * `combine(left, right)` may write its result to `left` and return it.
 */
export function foldTree<T>(
  node: TreeNode,
  shards: number,
  known: (node: TreeNode) => T | undefined,
  combine: (left: T, right: T) => T,
): T {
  const value = known(node);
  if (value !== undefined) return value;
  invariant(node.level > 0, `shard ${node.index} is missing from the tree of ${shards}`);
  const left = { level: node.level - 1, index: node.index * 2 };
  const right = { level: node.level - 1, index: node.index * 2 + 1 };
  const leftValue = foldTree(left, shards, known, combine);
  if (right.index * 2 ** right.level >= shards) return leftValue;
  return combine(leftValue, foldTree(right, shards, known, combine));
}
