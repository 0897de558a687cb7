/**
 * The fixed binary tree over shard ids. Everything that crosses shards is combined along it, so a sum's bits depend on
 * the shards alone, never on which worker owned them or whose message came first.
 *
 * ```
 *   level 2              (0..3)              shards = 3: the leaf 3 is absent, and a node with one
 *   level 1        (0,1)        (2,3)        present child is that child, unchanged.
 *   level 0       0     1      2     ·
 * ```
 */

import { invariant } from '../errors.js';
import type { Range } from './identifiers.js';

/** Node (level, index) covers the shards [index * 2^level, (index + 1) * 2^level), as far as they exist. */
export interface TreeNode {
  readonly level: number;
  readonly index: number;
}

/** The root's level for `shards` leaves (at least one). */
export function rootLevel(shards: number): number {
  invariant(Number.isInteger(shards) && shards >= 1, `a tree needs at least one shard, got ${shards}`);
  return 32 - Math.clz32(shards - 1);
}

/**
 * The fewest nodes that cover exactly the shards of `range`, in order: what a worker that owns the range sends. At most
 * 2 * log2(shards) of them. A range that ends with the last shard is aligned as if the absent leaves were its own.
 */
export function maximalSubtrees(range: Range, shards: number): TreeNode[] {
  const nodes: TreeNode[] = [];
  const end = range.end === shards ? 2 ** rootLevel(shards) : range.end;
  let start = range.start;
  if (range.start >= range.end) return nodes;
  // Not up to `end`: a node of absent leaves alone has no value.
  while (start < range.end) {
    let level = 0;
    while (start % 2 ** (level + 1) === 0 && start + 2 ** (level + 1) <= end) level++;
    nodes.push({ level, index: start / 2 ** level });
    start += 2 ** level;
  }
  return nodes;
}

/**
 * Value of `node`: `known(node)` where that is defined, else its children combined, left before right. An absent child
 * (all of its shards >= `shards`) leaves the other as it is.
 *
 * `combine(left, right)` may write its result over `left` and return it.
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
