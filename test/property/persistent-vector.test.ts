import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PersistentVector } from '../../src/coordinator/persistent-vector.js';
import { InvariantError } from '../../src/shared/errors.js';

describe('a persistent vector', () => {
  it('equals an array after any replacements, and does not change earlier versions', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3000 }), fc.array(fc.nat(), { maxLength: 20 }), (length, at) => {
        const model = Array.from({ length }, (_, i) => i);
        const original = PersistentVector.from(model);
        let vector = original;
        for (const [change, position] of at.entries()) {
          const index = position % length;
          model[index] = -change - 1;
          vector = vector.with(index, -change - 1);
          expect(vector.get(index)).toBe(-change - 1);
        }
        expect([...vector.values()]).toEqual(model);
        expect(Array.from({ length }, (_, i) => vector.get(i))).toEqual(model);
        expect([...original.values()]).toEqual(Array.from({ length }, (_, i) => i));
      }),
      { numRuns: 50 },
    );
  });

  it('equals an array after any number of elements are appended, and keeps every version', () => {
    // 1025 elements need a third level.
    const versions = [PersistentVector.from<number>([])];
    for (let i = 0; i < 1100; i++) versions.push(versions.at(-1)!.append(i));
    for (const length of [0, 1, 31, 32, 33, 1023, 1024, 1025, 1100])
      expect([...versions[length]!.values()]).toEqual(Array.from({ length }, (_, i) => i));
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1100 }), fc.nat({ max: 70 }), (length, more) => {
        let vector = PersistentVector.from(Array.from({ length }, (_, i) => i));
        for (let i = 0; i < more; i++) vector = vector.append(length + i);
        expect([...vector.values()]).toEqual(Array.from({ length: length + more }, (_, i) => i));
        if (vector.length > 0) expect(vector.get(vector.length - 1)).toBe(vector.length - 1);
      }),
      { numRuns: 50 },
    );
  });

  it('has no elements beyond its length', () => {
    expect([...PersistentVector.from([]).values()]).toEqual([]);
    for (const length of [0, 1, 32, 33, 1024, 1025]) {
      const vector = PersistentVector.from(Array.from({ length }, (_, i) => i));
      expect(vector.length).toBe(length);
      for (const index of [-1, length, 0.5]) expect(() => vector.get(index)).toThrow(InvariantError);
      expect(() => vector.with(length, 0)).toThrow(InvariantError);
    }
  });
});
