/**
 * The layout: the model's weights in one fixed order. Each worker's `ready` contains the layout's hash. The coordinator compares the
 * hashes, so all workers train the same model.
 */

import { createHash } from 'node:crypto';

export interface LayoutEntry {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly trainable: boolean;
}

export type Layout = readonly LayoutEntry[];

/** Product of the dimensions; 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Returns the name, or one of `length` characters that belongs to no other name. @param length at least 17 */
export function shortName(name: string, length: number): string {
  if (name.length <= length) return name;
  const digest = createHash('sha256').update(name).digest('hex').slice(0, 16);
  return `${name.slice(0, length - digest.length - 1)}~${digest}`;
}

/** SHA-256 over names, shapes, dtypes and trainability, in order. */
export function layoutHash(layout: Layout): string {
  const canonical = layout.map(({ name, shape, dtype, trainable }) => [name, shape, dtype, trainable]);
  return createHash('sha256').update(JSON.stringify(canonical)).digest('hex');
}

/** SHA-256 over every weight, moving statistics included, as float32 little-endian in layout order. */
export function weightsSha256(weights: Iterable<Float32Array>): string {
  const hash = createHash('sha256');
  for (const values of weights)
    hash.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  return hash.digest('hex');
}
