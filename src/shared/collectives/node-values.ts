/** The values of a tree's nodes during a reduction, and reusable memory for those of inner nodes. */

import type { TreeNode } from '../sharding/tree.js';
import { bytesPerElement, vectorOver, type Vector, type VectorReduction } from './reduction.js';

/** The values of nodes, by `keyOf` of the node. */
export type NodeValues<T extends Vector = Vector> = Map<string, T>;

export const keyOf = ({ level, index }: TreeNode): string => `${level}/${index}`;

/** Sets the values of `nodes`; `values` may be shorter. */
export function addNodeValues<T extends Vector>(
  known: NodeValues<T>,
  nodes: readonly TreeNode[],
  values: readonly T[],
): void {
  for (const [i, node] of nodes.entries()) {
    const value = values[i];
    if (value) known.set(keyOf(node), value);
  }
}

/** Vectors for inner nodes, kept from round to round. */
export class Scratch {
  readonly #vectors = new Map<number, Vector>();

  /** The vector with this index; its contents are undefined. */
  vector(index: number, reduction: VectorReduction, length: number): Vector {
    const held = this.#vectors.get(index);
    if (held?.length === length) return held;
    const made = vectorOver(reduction, new ArrayBuffer(length * bytesPerElement(reduction)));
    this.#vectors.set(index, made);
    return made;
  }
}
