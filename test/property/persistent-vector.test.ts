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
