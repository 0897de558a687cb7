/**
 * The reductions of vectors. Owns the arithmetic of one tree node. The tree (sharding/tree.ts) determines the order of the additions.
 */

import { crc32 } from 'node:zlib';
import type { Checksum } from '../protocol/frame.js';

export type VectorReduction =
  /** Elementwise float32 sum: gradients. */
  | 'sum-float32'
  /**
   * Elementwise float32 sum whose value at every node of the tree, leaves and root included, is rounded to bfloat16. A value that is sent
   * takes two bytes per element. Values that are not sent are rounded as well, so the assignment of shards to workers changes no bit.
   */
  | 'sum-bfloat16'
  /** Elementwise float64 sum: losses, counts, and the sums of BatchNorm's backward pass. */
  | 'sum-float64'
  /** [count, mean[C], M2[C]] in float64, by the pairwise formula of Chan, Golub and LeVeque (1979). */
  | 'moments';

/** The reduction of gradients that are sent in this type. */
export function reductionOf(gradientDtype: 'float32' | 'bfloat16'): VectorReduction {
  return gradientDtype === 'bfloat16' ? 'sum-bfloat16' : 'sum-float32';
}

export type Vector = Float32Array | Float64Array;

/** Bytes of an element in memory. */
export function bytesPerElement(reduction: VectorReduction): 4 | 8 {
  return isFloat32(reduction) ? 4 : 8;
}

const isFloat32 = (reduction: VectorReduction): boolean =>
  reduction === 'sum-float32' || reduction === 'sum-bfloat16';

export function vectorOver(
  reduction: VectorReduction,
  buffer: ArrayBufferLike,
  offset = 0,
  length?: number,
): Vector {
  return isFloat32(reduction)
    ? new Float32Array(buffer, offset, length)
    : new Float64Array(buffer, offset, length);
}

/** out = left + right; all have one length. */
export type AddFloat32 = (out: Float32Array, left: Float32Array, right: Float32Array) => void;

/**
 * JavaScript adds the two float32 values in float64, and the sum is rounded once, when it is stored. The bits are those of a float32
 * addition.
 */
export const addFloat32: AddFloat32 = (out, left, right) => {
  for (let i = 0; i < out.length; i++) out[i] = (left[i] as number) + (right[i] as number);
};

/** Operations that native code can replace. The native code is faster and computes the same bits. */
export interface Arithmetic {
  readonly add: AddFloat32;
  /** out = left + right, rounded to bfloat16. */
  readonly addBfloat16: AddFloat32;
  /** Rounds to the nearest bfloat16, ties to even, in place. */
  readonly roundBfloat16: (values: Float32Array) => void;
  /** Packs values that are already bfloat16 to two bytes each, and unpacks them. */
  readonly packBfloat16: (out: Uint16Array, values: Float32Array) => void;
  readonly unpackBfloat16: (out: Float32Array, packed: Uint16Array) => void;
  readonly checksum: Checksum;
}

const bits = (values: Float32Array): Uint32Array =>
  new Uint32Array(values.buffer, values.byteOffset, values.length);

function roundBfloat16(values: Float32Array): void {
  const patterns = bits(values);
  for (let i = 0; i < patterns.length; i++) {
    const pattern = patterns[i] as number;
    const notNumber = (pattern & 0x7fffffff) > 0x7f800000;
    patterns[i] = (notNumber ? pattern | 0x400000 : pattern + 0x7fff + ((pattern >>> 16) & 1)) & 0xffff0000;
  }
}

export const portable: Arithmetic = {
  add: addFloat32,
  addBfloat16: (out, left, right) => {
    addFloat32(out, left, right);
    roundBfloat16(out);
  },
  roundBfloat16,
  packBfloat16: (out, values) => {
    const patterns = bits(values);
    for (let i = 0; i < patterns.length; i++) out[i] = (patterns[i] as number) >>> 16;
  },
  unpackBfloat16: (out, packed) => {
    const patterns = bits(out);
    for (let i = 0; i < patterns.length; i++) patterns[i] = (packed[i] as number) << 16;
  },
  checksum: crc32,
};

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

/**
 * Computes the value of a node from the values of its children and writes it to `out`. `out` may be the same vector as `left`. All vectors
 * have the reduction's element type and the same length.
 */
export function combine<T extends Vector>(
  reduction: VectorReduction,
  arithmetic: Arithmetic,
  out: T,
  left: T,
  right: T,
): T {
  switch (reduction) {
    case 'sum-float32':
      arithmetic.add(out as Float32Array, left as Float32Array, right as Float32Array);
      break;
    case 'sum-bfloat16':
      arithmetic.addBfloat16(out as Float32Array, left as Float32Array, right as Float32Array);
      break;
    case 'sum-float64':
      if (out !== left) out.set(left);
      addFloat64(out as Float64Array, right as Float64Array);
      break;
    case 'moments':
      if (out !== left) out.set(left);
      mergeMoments(out as Float64Array, right as Float64Array);
      break;
  }
  return out;
}
