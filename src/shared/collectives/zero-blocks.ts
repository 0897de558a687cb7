/**
 * A shorter payload for vectors that are mostly zero, such as the gradient of an Embedding, of which a batch touches few rows. Blocks of
 * 16 elements whose bits are all zero are left out; a bitmap tells which ones. The values keep their bits: -0 counts as a value.
 *
 * ```
 * bitmap: one bit per block, all vectors in order, lowest bit first, padded with zeros to a multiple of 4 bytes
 * values: the blocks whose bit is set, in order; the last block of a vector may be shorter than 16 elements
 * ```
 */

const blockElements = 16;
/** Vectors with fewer elements in total are sent as they are. */
const leastElements = 1_024;
/** The largest share of blocks with values at which the shorter payload is worth a copy. */
const largestShare = 0.75;

/** The blocks with values of some vectors. */
export interface ZeroBlocks {
  readonly bitmap: Uint8Array;
  /** Size of the payload, with the bitmap. */
  readonly bytes: number;
}

const blocksOf = (elements: number): number => Math.ceil(elements / blockElements);
const bitmapBytes = (blocks: number): number => 4 * Math.ceil(blocks / 32);
const bitsOf = ({ buffer, byteOffset, length }: Float32Array): Int32Array =>
  new Int32Array(buffer, byteOffset, length);

/** Finds the blocks with values. Returns undefined if the payload would hardly be shorter than that of all elements. */
export function findZeroBlocks(vectors: readonly Float32Array[]): ZeroBlocks | undefined {
  const elements = vectors.reduce((total, { length }) => total + length, 0);
  if (elements < leastElements) return undefined;
  const blocks = vectors.reduce((total, { length }) => total + blocksOf(length), 0);
  const most = largestShare * blocks;
  const bitmap = new Uint8Array(bitmapBytes(blocks));
  let [block, found, values] = [0, 0, 0];
  for (const vector of vectors) {
    const bits = bitsOf(vector);
    for (let start = 0; start < bits.length; start += blockElements, block++) {
      const end = Math.min(start + blockElements, bits.length);
      let at = start;
      while (at < end && bits[at] === 0) at++;
      if (at === end) continue;
      if (++found > most) return undefined;
      values += end - start;
      bitmap[block >> 3] = (bitmap[block >> 3] as number) | (1 << (block & 7));
    }
  }
  return { bitmap, bytes: bitmap.length + 4 * values };
}

/** Writes the payload to `target`, which has `bytes` bytes and begins at a multiple of 4. */
export function packZeroBlocks(
  vectors: readonly Float32Array[],
  { bitmap }: ZeroBlocks,
  target: Uint8Array,
): void {
  target.set(bitmap);
  const packed = new Float32Array(
    target.buffer,
    target.byteOffset + bitmap.length,
    (target.length - bitmap.length) / 4,
  );
  let at = 0;
  forEachRun(
    bitmap,
    vectors.map(({ length }) => length),
    (vector, start, end) => {
      packed.set((vectors[vector] as Float32Array).subarray(start, end), at);
      at += end - start;
    },
  );
}

/**
 * Writes the values of a payload to `vectors`, and zeros to all other elements. Returns false, with undefined contents of `vectors`, if the
 * payload does not have the size that the lengths of `vectors` and its own bitmap require, or if a padding bit is set.
 */
export function unpackZeroBlocks(payload: Uint8Array, vectors: readonly Float32Array[]): boolean {
  const blocks = vectors.reduce((total, { length }) => total + blocksOf(length), 0);
  const bitmap = payload.subarray(0, bitmapBytes(blocks));
  if (bitmap.length < bitmapBytes(blocks)) return false;
  for (let bit = blocks; bit < 8 * bitmap.length; bit++)
    if (((bitmap[bit >> 3] as number) >> (bit & 7)) & 1) return false;
  const lengths = vectors.map(({ length }) => length);
  let values = 0;
  forEachRun(bitmap, lengths, (_, start, end) => (values += end - start));
  if (payload.length !== bitmap.length + 4 * values) return false;
  // A copy, because the payload may begin at any address.
  const packed = new Float32Array(new Uint8Array(payload.subarray(bitmap.length)).buffer);
  for (const vector of vectors) vector.fill(0);
  let at = 0;
  forEachRun(bitmap, lengths, (vector, start, end) => {
    (vectors[vector] as Float32Array).set(packed.subarray(at, at + end - start), start);
    at += end - start;
  });
  return true;
}

/** Calls `run` for each range of consecutive blocks with values inside one vector. */
function forEachRun(
  bitmap: Uint8Array,
  lengths: readonly number[],
  run: (vector: number, start: number, end: number) => void,
): void {
  let block = 0;
  for (const [vector, length] of lengths.entries()) {
    let begin = -1;
    for (let start = 0; start < length; start += blockElements, block++) {
      const isSet = (((bitmap[block >> 3] as number) >> (block & 7)) & 1) === 1;
      if (isSet && begin < 0) begin = start;
      if (!isSet && begin >= 0) {
        run(vector, begin, start);
        begin = -1;
      }
    }
    if (begin >= 0) run(vector, begin, length);
  }
}
