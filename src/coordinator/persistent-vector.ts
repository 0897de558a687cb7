/**
 * An immutable vector. Its elements lie in a tree of nodes with up to 32 entries. Replacing an element copies only the nodes on the path
 * to it, at most 32 * ceil(log32(length)) entries. The new version shares all other nodes with the old one.
 */

import { invariant } from '../shared/errors.js';

const bitsPerLevel = 5;
const width = 32;

/** A branch of height h has children of height h - 1; a leaf has height 0. */
export type TrieNode<T> =
  | { readonly kind: 'leaf'; readonly entries: readonly T[] }
  | { readonly kind: 'branch'; readonly height: number; readonly entries: readonly TrieNode<T>[] };

export class PersistentVector<T> {
  readonly root: TrieNode<T>;
  readonly length: number;

  private constructor(root: TrieNode<T>, length: number) {
    this.root = root;
    this.length = length;
  }

  /** Cost: all elements are copied once. */
  static from<T>(values: readonly T[]): PersistentVector<T> {
    let nodes = chunks(values).map((entries): TrieNode<T> => ({ kind: 'leaf', entries }));
    for (let height = 1; nodes.length > 1; height++)
      nodes = chunks(nodes).map((entries): TrieNode<T> => ({ kind: 'branch', height, entries }));
    return new PersistentVector(nodes[0] ?? { kind: 'leaf', entries: [] }, values.length);
  }

  get(index: number): T {
    this.#check(index);
    let node = this.root;
    while (node.kind === 'branch') node = entryAt(node.entries, digit(index, node.height));
    return entryAt(node.entries, digit(index, 0));
  }

  /** Returns a version with another element at `index`. */
  with(index: number, value: T): PersistentVector<T> {
    this.#check(index);
    return new PersistentVector(replace(this.root, index, value), this.length);
  }

  /** Returns a version with another element at its end. */
  append(value: T): PersistentVector<T> {
    const { root, length } = this;
    const height = heightOf(root);
    const isFull = length === 1 << (bitsPerLevel * (height + 1));
    const next: TrieNode<T> = isFull
      ? { kind: 'branch', height: height + 1, entries: [root, nodeWith(height, value)] }
      : appended(root, length, value);
    return new PersistentVector(next, length + 1);
  }

  /** All elements in order. */
  values(): Generator<T, void, undefined> {
    return valuesOf(this.root);
  }

  #check(index: number): void {
    const valid = Number.isInteger(index) && index >= 0 && index < this.length;
    invariant(valid, `element ${index} of a vector of ${this.length}`);
  }
}

function chunks<E>(entries: readonly E[]): E[][] {
  const count = Math.ceil(entries.length / width);
  return Array.from({ length: count }, (_, i) => entries.slice(i * width, (i + 1) * width));
}

/** The digit of `index` in base 32 that selects the entry of a node of that height. */
const digit = (index: number, height: number): number => (index >>> (bitsPerLevel * height)) & (width - 1);

function entryAt<E>(entries: readonly E[], at: number): E {
  invariant(at < entries.length, `entry ${at} of a node of ${entries.length}`);
  return entries[at] as E;
}

function replace<T>(node: TrieNode<T>, index: number, value: T): TrieNode<T> {
  if (node.kind === 'leaf') return { kind: 'leaf', entries: node.entries.with(digit(index, 0), value) };
  const at = digit(index, node.height);
  const child = replace(entryAt(node.entries, at), index, value);
  return { kind: 'branch', height: node.height, entries: node.entries.with(at, child) };
}

const heightOf = <T>(node: TrieNode<T>): number => (node.kind === 'leaf' ? 0 : node.height);

/** A node of this height with one element. */
function nodeWith<T>(height: number, value: T): TrieNode<T> {
  if (height === 0) return { kind: 'leaf', entries: [value] };
  return { kind: 'branch', height, entries: [nodeWith(height - 1, value)] };
}

/** @param index of the new element, for which the node has room */
function appended<T>(node: TrieNode<T>, index: number, value: T): TrieNode<T> {
  if (node.kind === 'leaf') return { kind: 'leaf', entries: [...node.entries, value] };
  const { height, entries } = node;
  const at = digit(index, height);
  const child = entries[at];
  if (child === undefined)
    return { kind: 'branch', height, entries: [...entries, nodeWith(height - 1, value)] };
  return { kind: 'branch', height, entries: entries.with(at, appended(child, index, value)) };
}

function* valuesOf<T>(node: TrieNode<T>): Generator<T, void, undefined> {
  if (node.kind === 'leaf') yield* node.entries;
  else for (const child of node.entries) yield* valuesOf(child);
}
