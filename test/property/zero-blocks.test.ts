import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  findZeroBlocks,
  packZeroBlocks,
  unpackZeroBlocks,
} from '../../src/shared/collectives/zero-blocks.js';

const words = (vector: Float32Array): number[] => [
  ...new Uint32Array(vector.buffer, vector.byteOffset, vector.length),
];

/** Vectors that are zero except at some positions, with any bit patterns there. */
const sparseVectors = fc
  .array(
    fc.record({
      length: fc.nat({ max: 3_000 }),
      values: fc.array(fc.tuple(fc.nat({ max: 2_999 }), fc.integer({ min: 0, max: 0xffff_ffff })), {
        maxLength: 12,
      }),
    }),
    { minLength: 1, maxLength: 4 },
  )
  .map((given) =>
    given.map(({ length, values }) => {
      const vector = new Float32Array(length);
      const bits = new Uint32Array(vector.buffer);
      for (const [at, word] of values) if (at < length) bits[at] = word;
      return vector;
    }),
  );

function pack(vectors: readonly Float32Array[]): Uint8Array | undefined {
  const blocks = findZeroBlocks(vectors);
  if (!blocks) return undefined;
  const payload = new Uint8Array(blocks.bytes);
  packZeroBlocks(vectors, blocks, payload);
  return payload;
}

const emptyLike = (vectors: readonly Float32Array[]): Float32Array[] =>
  vectors.map(({ length }) => new Float32Array(length).fill(7));

describe('a payload without blocks of zeros', () => {
  it('has the bits of all elements, from any address', () => {
    fc.assert(
      fc.property(sparseVectors, fc.nat({ max: 3 }), (vectors, shift) => {
        const payload = pack(vectors);
        const elements = vectors.reduce((total, { length }) => total + length, 0);
        const blocks = vectors.reduce((total, { length }) => total + Math.ceil(length / 16), 0);
        if (payload === undefined) {
          // Twelve values per vector touch less than three quarters of the blocks of vectors this long.
          expect(elements < 1_024 || blocks < 64).toBe(true);
          return;
        }
        // A message from a socket is a Buffer inside a larger ArrayBuffer.
        const moved = Buffer.alloc(payload.length + shift).subarray(shift);
        moved.set(payload);
        const received = emptyLike(vectors);
        expect(unpackZeroBlocks(moved, received)).toBe(true);
        expect(received.map(words)).toEqual(vectors.map(words));
      }),
    );
  });

  it('counts the bytes of the touched rows alone', () => {
    // 1000 rows of 64 elements, of which 10 have values.
    const table = new Float32Array(64_000);
    for (let row = 0; row < 1_000; row += 100) table.fill(row + 1, 64 * row, 64 * (row + 1));
    const bitmap = 64_000 / 16 / 8;
    expect(findZeroBlocks([table])?.bytes).toBe(bitmap + 10 * 64 * 4);
  });

  it('is not used for vectors with values everywhere, nor for short ones', () => {
    expect(findZeroBlocks([new Float32Array(4_096).fill(-0)])).toBeUndefined();
    expect(findZeroBlocks([new Float32Array(512)])).toBeUndefined();
  });

  it('is refused if it is damaged, and never written beyond the vectors', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (payload) => {
        const vectors = [new Float32Array(1_000), new Float32Array(40)];
        const accepted = unpackZeroBlocks(payload, vectors);
        // 63 and 3 blocks: a bitmap of 12 bytes with 30 bits of padding.
        const bit = (i: number): number => ((payload[i >> 3] ?? 0) >> (i & 7)) & 1;
        const size = (block: number): number => (block === 62 || block === 65 ? 8 : 16);
        const set = Array.from({ length: 66 }, (_, block) => bit(block) * size(block));
        const values = set.reduce((total, count) => total + count, 0);
        const isPadded = Array.from({ length: 30 }, (_, i) => bit(66 + i)).every((value) => value === 0);
        expect(accepted).toBe(payload.length >= 12 && isPadded && payload.length === 12 + 4 * values);
      }),
    );
    expect(unpackZeroBlocks(new Uint8Array(12), [new Float32Array(1_000), new Float32Array(40)])).toBe(true);
  });
});
