import { describe, expect, it } from 'vitest';
import { epochPermutation } from '../../src/shared/random/permutation.js';
import { PhiloxSequence, philoxBlock, philoxKey } from '../../src/shared/random/philox.js';
import { withMathRandom } from '../../src/worker/random/math-random.js';

type Words = readonly [number, number, number, number];

/** Random123's known answers for philox4x32 with 10 rounds (kat_vectors). */
const knownAnswers: readonly { key: readonly [number, number]; counter: Words; expected: Words }[] = [
  { key: [0, 0], counter: [0, 0, 0, 0], expected: [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8] },
  {
    key: [0xffffffff, 0xffffffff],
    counter: [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
    expected: [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
  },
  {
    key: [0xa4093822, 0x299f31d0],
    counter: [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
    expected: [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  },
];

describe('Philox4x32-10', () => {
  it.each(knownAnswers)(
    'gives the known answer for counter $counter',
    ({ key: [low, high], counter, expected }) => {
      const words = new Uint32Array(4);
      philoxBlock({ low, high }, ...counter, words);
      expect([...words]).toEqual([...expected]);
    },
  );

  it('draws numbers in [0, 1) with the mean and variance of a uniform distribution', () => {
    const sequence = new PhiloxSequence(philoxKey(3, 'initialization'), 0);
    const values = Array.from({ length: 20_000 }, () => sequence.unit());
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
    expect(Math.min(...values)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...values)).toBeLessThan(1);
    expect(mean).toBeCloseTo(0.5, 2);
    expect(variance).toBeCloseTo(1 / 12, 2);
  });
});

describe('epochPermutation', () => {
  it('is a permutation that depends on the seed and on the epoch', () => {
    const order = epochPermutation(1, 0, 1000);
    expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    expect([...epochPermutation(1, 0, 1000)]).toEqual([...order]);
    expect([...epochPermutation(1, 1, 1000)]).not.toEqual([...order]);
    expect([...epochPermutation(2, 0, 1000)]).not.toEqual([...order]);
  });
});

describe('withMathRandom', () => {
  it('replaces Math.random during the call only, also if the call throws', () => {
    const before = Math.random;
    expect(
      withMathRandom(
        () => 0.25,
        () => Math.random(),
      ),
    ).toBe(0.25);
    expect(() =>
      withMathRandom(
        () => 0.25,
        () => {
          throw new Error('inside');
        },
      ),
    ).toThrow('inside');
    expect(Math.random).toBe(before);
  });
});
