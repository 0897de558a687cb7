/**
 * The ledger's hash of a float32 vector: 8 bytes that distinguish results and give no security. It has 64 lanes, so that native code
 * runs it at memory speed (native/ledger_hash.h has the same function); each step of a lane is a bijection of the word and
 * of the state, so a single changed word always changes the hash.
 */

export const hashBytes = 8;

/** Returns the view of the `i`-th hash among the hashes of several vectors. */
export function hashPlace(hashes: Uint8Array, i: number): Uint8Array {
  return hashes.subarray(i * hashBytes, (i + 1) * hashBytes);
}

/** Writes the hash of each of `vectors` into its view. */
export function hashEach(vectors: readonly Float32Array[], hashes: Uint8Array): void {
  for (const [i, vector] of vectors.entries()) hashFloats(vector, hashPlace(hashes, i));
}

/** Writes the hash of `values` into the first 8 bytes of `target`. */
export type HashFloats = (values: Float32Array, target: Uint8Array) => void;

/** Number of lanes: the word at index i changes the state of lane i modulo this number. */
export const hashLanes = 64;
const rotate = (x: number, by: number): number => (x << by) | (x >>> (32 - by));

export const hashFloats: HashFloats = (values, target) => {
  const words = new Int32Array(values.buffer, values.byteOffset, values.length);
  const state = Int32Array.from({ length: hashLanes }, (_, lane) => Math.imul(0x9e3779b9, lane + 1));
  for (let i = 0; i < words.length; i++) {
    const lane = i % hashLanes;
    state[lane] = rotate(Math.imul((state[lane] as number) ^ (words[i] as number), 0x85ebca6b), 13);
  }
  foldLanes(state, words.length, target);
};

/** Writes the hash of a vector with `count` elements into the first 8 bytes of `target`. @param state the final states of its lanes */
export function foldLanes(state: Int32Array, count: number, target: Uint8Array): void {
  let a = count | 0;
  let b = ~a;
  for (const lane of state) {
    a = rotate(Math.imul(a ^ lane, 0xc2b2ae35), 15);
    b = rotate(Math.imul(b ^ lane, 0x27d4eb2f), 11);
  }
  const view = new DataView(target.buffer, target.byteOffset, hashBytes);
  view.setInt32(0, a ^ (b >>> 16), true);
  view.setInt32(4, b ^ (a >>> 15), true);
}
