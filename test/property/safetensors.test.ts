import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeSafetensors,
  encodeSafetensors,
  type NamedTensor,
} from '../../src/shared/checkpoint/safetensors.js';
import { DataError } from '../../src/shared/errors.js';

const values = fc.oneof(
  fc.float32Array({ maxLength: 50 }),
  fc.float64Array({ maxLength: 50 }),
  fc.int32Array({ maxLength: 50 }),
  fc.uint8Array({ maxLength: 50 }),
);
const tensors = fc
  .uniqueArray(fc.tuple(fc.string({ maxLength: 20 }), values), { selector: ([name]) => name, maxLength: 6 })
  .map(
    (entries) =>
      new Map<string, NamedTensor>(
        entries
          .filter(([name]) => name !== '__metadata__' && name !== '__proto__')
          .map(([name, of]) => [name, { shape: [of.length], values: of }]),
      ),
  );

function decodes(bytes: Buffer): boolean {
  try {
    decodeSafetensors(bytes, 'file');
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(DataError);
    return false;
  }
}

describe('safetensors', () => {
  it('are decoded as they were encoded', () => {
    fc.assert(
      fc.property(tensors, fc.string(), (given, note) => {
        const { tensors: found, metadata } = decodeSafetensors(encodeSafetensors(given, { note }), 'file');
        expect(metadata).toEqual({ note });
        expect([...found.keys()].sort()).toEqual([...given.keys()].sort());
        for (const [name, { shape, values: written }] of given) {
          expect(found.get(name)?.shape).toEqual(shape);
          expect(found.get(name)?.values).toEqual(written);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('are refused with a DataError if they are random bytes, truncated or have a changed header', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void decodes(Buffer.from(bytes))));
    fc.assert(
      fc.property(tensors, fc.nat(), fc.nat(255), (given, at, value) => {
        const bytes = encodeSafetensors(given);
        expect(decodes(bytes.subarray(0, at % bytes.length))).toBe(false);
        bytes[at % bytes.length] = value;
        decodes(bytes);
      }),
    );
  });

  it('are refused if lengths, shapes or offsets are inconsistent', () => {
    const file = (header: unknown, data = Buffer.alloc(8), length?: bigint): Buffer => {
      const text = Buffer.from(JSON.stringify(header));
      const size = Buffer.alloc(8);
      size.writeBigUInt64LE(length ?? BigInt(text.length));
      return Buffer.concat([size, text, data]);
    };
    const good = { dtype: 'F32', shape: [2], data_offsets: [0, 8] };
    expect(decodes(file({ a: good }))).toBe(true);
    for (const bad of [
      file({ a: good }, Buffer.alloc(8), 2n ** 63n),
      file({ a: good }, Buffer.alloc(9)),
      file({ a: { ...good, shape: [3] } }),
      file({ a: { ...good, shape: [2 ** 40, 2 ** 40] } }),
      file({ a: { ...good, data_offsets: [8, 16] } }),
      file({ a: { ...good, data_offsets: [-8, 0] } }),
      file({ a: good, b: good }),
      file({ a: { ...good, dtype: 'BF16' } }),
      file([good]),
      file({ a: good, __metadata__: { n: 1 } }),
    ])
      expect(decodes(bad)).toBe(false);
  });
});
