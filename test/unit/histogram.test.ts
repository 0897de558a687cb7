import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bucketLimits, histogramBuckets, histogramOf } from '../../src/shared/runs/histogram.js';

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

describe('a histogram', () => {
  it('counts each value in its bucket, the largest one in the last bucket', () => {
    const values = Float32Array.from({ length: 31 }, (_, i) => i);
    const histogram = histogramOf(values);
    expect(histogram).toEqual({
      min: 0,
      max: 30,
      count: 31,
      sum: 465,
      sumOfSquares: 9455,
      buckets: [...new Array<number>(29).fill(1), 2],
    });
    expect(bucketLimits(histogram)).toEqual(Array.from({ length: 30 }, (_, i) => i + 1));
  });

  it('has one bucket if all values are equal, and none if there are no values', () => {
    const alike = histogramOf(Float32Array.of(2, 2, 2));
    expect(alike).toEqual({ min: 2, max: 2, count: 3, sum: 6, sumOfSquares: 12, buckets: [3] });
    expect(bucketLimits(alike)).toEqual([2]);
    expect(histogramOf(Float32Array.of(Number.NaN, Number.POSITIVE_INFINITY))).toEqual({
      min: 0,
      max: 0,
      count: 0,
      sum: 0,
      sumOfSquares: 0,
      buckets: [],
    });
  });

  it('counts every finite value once, in buckets with ascending limits', () => {
    fc.assert(
      fc.property(fc.float32Array({ minLength: 1 }), (values) => {
        const histogram = histogramOf(values);
        const finite = [...values].filter(Number.isFinite);
        expect(histogram.count).toBe(finite.length);
        expect(sum(histogram.buckets)).toBe(finite.length);
        expect(histogram.buckets.length).toBeLessThanOrEqual(histogramBuckets);
        const limits = bucketLimits(histogram);
        expect(limits).toEqual([...limits].sort((a, b) => a - b));
        expect(limits.at(-1) ?? 0).toBe(finite.length === 0 ? 0 : Math.max(...finite));
      }),
    );
  });
});
