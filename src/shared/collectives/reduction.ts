/**
 * The three ways in which vectors are combined. Owns the arithmetic of one tree node; the order is the tree's.
 */

import { crc32 } from 'node:zlib';
import type { Checksum } from '../protocol/frame.js';

export type VectorReduction =
  /** Elementwise float32 sum: gradients. */
  | 'sum-float32'
  /** Elementwise float64 sum: losses, counts, and the sums of BatchNorm's backward pass. */
  | 'sum-float64'
  /** [count, mean[C], M2[C]] in float64, by the pairwise formula of Chan, Golub and LeVeque (1979). */
  | 'moments';

export type Vector = Float32Array | Float64Array;

export function bytesPerElement(reduction: VectorReduction): 4 | 8 {
  return reduction === 'sum-float32' ? 4 : 8;
}

export function vectorOver(
  reduction: VectorReduction,
  buffer: ArrayBufferLike,
  offset = 0,
  length?: number,
): Vector {
  return reduction === 'sum-float32'
    ? new Float32Array(buffer, offset, length)
    : new Float64Array(buffer, offset, length);
}

/** out = left + right; all of one length. */
export type AddFloat32 = (out: Float32Array, left: Float32Array, right: Float32Array) => void;

/** Both are float32 and the sum of two is rounded once on storing: the same bits as a float32 addition. */
export const addFloat32: AddFloat32 = (out, left, right) => {
  for (let i = 0; i < out.length; i++) out[i] = (left[i] as number) + (right[i] as number);
};

/** What native code does faster, with the same results. */
export interface Arithmetic {
  readonly add: AddFloat32;
  readonly checksum: Checksum;
}

export const portable: Arithmetic = { add: addFloat32, checksum: crc32 };

function addFloat64(left: Float64Array, right: Float64Array): void {
  for (let i = 0; i < left.length; i++) left[i] = (left[i] as number) + (right[i] as number);
}

/** Adding means and squared deviations rather than raw moments avoids the cancellation of E[x^2] - E[x]^2. */
function mergeMoments(left: Float64Array, right: Float64Array): void {
  const leftCount = left[0] as number;
  const rightCount = right[0] as number;
  if (rightCount === 0) return;
  if (leftCount === 0) {
    left.set(right);
    return;
  }
  const channels = (left.length - 1) / 2;
  const count = leftCount + rightCount;
  left[0] = count;
  for (let c = 1; c <= channels; c++) {
    const delta = (right[c] as number) - (left[c] as number);
    left[c] = (left[c] as number) + (delta * rightCount) / count;
    const m2 = c + channels;
    left[m2] =
      (left[m2] as number) + (right[m2] as number) + delta * delta * ((leftCount * rightCount) / count);
  }
}

/** Combines `right` into `left` and returns `left`. Both have the reduction's element type and the same length. */
export function combineInto<T extends Vector>(reduction: VectorReduction, left: T, right: T): T {
  switch (reduction) {
    case 'sum-float32':
      addFloat32(left as Float32Array, left as Float32Array, right as Float32Array);
      break;
    case 'sum-float64':
      addFloat64(left as Float64Array, right as Float64Array);
      break;
    case 'moments':
      mergeMoments(left as Float64Array, right as Float64Array);
      break;
  }
  return left;
}
