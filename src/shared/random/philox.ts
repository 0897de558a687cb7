/**
 * Philox4x32-10, the counter-based generator (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC'11).
 * Every random draw that affects a weight comes from here. It has no state: the same key and counter give the same bits on every
 * engine and worker. TensorFlow's StatelessRandomUniformV2 with Algorithm PHILOX computes the same function.
 */

const multiplier0 = 0xd2511f53;
const multiplier1 = 0xcd9e8d57;
const weyl0 = 0x9e3779b9;
const weyl1 = 0xbb67ae85;

/** Purposes of random streams. The purpose is part of the key, so streams of different purposes never overlap. */
export const purposes = {
  dropout: 1,
  permutation: 2,
  initialization: 3,
  augmentation: 4,
  faults: 5,
  /** Random layers other than a plain Dropout. The node's index is in the upper 24 bits of the key's high word. */
  layer: 6,
  sweep: 7,
} as const;
export type Purpose = keyof typeof purposes;

export interface PhiloxKey {
  readonly low: number;
  readonly high: number;
}

/** The key for a purpose in a run; `seed` is an integer in [0, 2^32). */
export function philoxKey(seed: number, purpose: Purpose): PhiloxKey {
  return { low: seed >>> 0, high: purposes[purpose] };
}

/** High 32 bits of a * b for unsigned 32-bit integers, without BigInt. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const low = aLow * bHigh + (middle & 0xffff);
  return aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(low / 0x10000);
}

/**
 * Writes one block, four uniform 32-bit words, to `out[at..at+3]` for the 128-bit counter (c0 lowest) under `key`.
 */
export function philoxBlock(
  key: PhiloxKey,
  c0: number,
  c1: number,
  c2: number,
  c3: number,
  out: Uint32Array,
  at = 0,
): void {
  let k0 = key.low;
  let k1 = key.high;
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(multiplier0, c0);
    const low0 = Math.imul(multiplier0, c0) >>> 0;
    const high1 = multiplyHigh(multiplier1, c2);
    const low1 = Math.imul(multiplier1, c2) >>> 0;
    const next0 = (high1 ^ c1 ^ k0) >>> 0;
    const next2 = (high0 ^ c3 ^ k1) >>> 0;
    c0 = next0;
    c1 = low1;
    c2 = next2;
    c3 = low0;
    k0 = (k0 + weyl0) >>> 0;
    k1 = (k1 + weyl1) >>> 0;
  }
  out[at] = c0;
  out[at + 1] = c1;
  out[at + 2] = c2;
  out[at + 3] = c3;
}

const floatBits = new Uint32Array(1);
const floatValue = new Float32Array(floatBits.buffer);

/** Converts a word to a float32 in [0, 1) with 23 random bits, as TensorFlow's Uint32ToFloat does. */
export function unitFloat(word: number): number {
  floatBits[0] = (word & 0x7fffff) | 0x3f800000;
  return (floatValue[0] ?? 1) - 1;
}

/** An endless sequence of words for one (key, stream, substream), for draws that are made one after the other. */
export class PhiloxSequence {
  readonly #key: PhiloxKey;
  readonly #stream: number;
  readonly #substream: number;
  readonly #words = new Uint32Array(4);
  #block = 0;
  #used = 4;

  constructor(key: PhiloxKey, stream: number, substream = 0) {
    this.#key = key;
    this.#stream = stream >>> 0;
    this.#substream = substream >>> 0;
  }

  /** Uniform over [0, 2^32). */
  word(): number {
    if (this.#used === 4) {
      philoxBlock(this.#key, this.#block >>> 0, 0, this.#stream, this.#substream, this.#words);
      this.#block++;
      this.#used = 0;
    }
    return this.#words[this.#used++] ?? 0;
  }

  /** Uniform over [0, bound), without bias (rejection); 1 <= bound <= 2^32. */
  below(bound: number): number {
    const limit = 0x100000000 - (0x100000000 % bound);
    for (;;) {
      const word = this.word();
      if (word < limit) return word % bound;
    }
  }

  /** Uniform over [0, 1) with 53 random bits, like Math.random. */
  unit(): number {
    return ((this.word() >>> 5) * 0x4000000 + (this.word() >>> 6)) / 0x20000000000000;
  }
}
