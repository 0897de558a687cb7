/** Histograms of the values of a tensor, with equal buckets from the smallest to the largest value. */

import { z } from 'zod';

/** Number of buckets, the same as in TensorFlow's histograms. */
export const histogramBuckets = 30;

const number = z.number().refine(Number.isFinite, 'must be a finite number');
const count = z.int().min(0).max(Number.MAX_SAFE_INTEGER);

export const histogramSchema = z.strictObject({
  min: number,
  max: number,
  /** Number of finite values; others are left out. */
  count,
  sum: number,
  sumOfSquares: number,
  /** Number of values in each of the equal parts of [min, max]; one part if all values are equal, none without values. */
  buckets: z.array(count).max(histogramBuckets),
});
export type Histogram = Readonly<z.infer<typeof histogramSchema>>;

export const namedHistogramSchema = z.strictObject({
  kind: z.enum(['weights', 'gradients']),
  /** Name of the weight in the layout. */
  name: z.string().max(256),
  histogram: histogramSchema,
});
export type NamedHistogram = Readonly<z.infer<typeof namedHistogramSchema>>;

/** Maximum number of histograms in one message. */
export const maxHistograms = 1_024;

/** Computes a histogram in two passes over the values; allocates nothing that grows with their number. */
export function histogramOf(values: Float32Array): Histogram {
  let [min, max] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  let [finite, sum, sumOfSquares] = [0, 0, 0];
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    if (value < min) min = value;
    if (value > max) max = value;
    finite++;
    sum += value;
    sumOfSquares += value * value;
  }
  if (finite === 0) return { min: 0, max: 0, count: 0, sum: 0, sumOfSquares: 0, buckets: [] };
  const buckets = new Array<number>(max > min ? histogramBuckets : 1).fill(0);
  const last = buckets.length - 1;
  const scale = max > min ? buckets.length / (max - min) : 0;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    // The largest value belongs to the last bucket.
    const bucket = Math.min(last, Math.floor((value - min) * scale));
    buckets[bucket] = (buckets[bucket] ?? 0) + 1;
  }
  return { min, max, count: finite, sum, sumOfSquares, buckets };
}

/** Returns the upper limits of the buckets, ascending; the last one is `max`. */
export function bucketLimits({ min, max, buckets }: Histogram): number[] {
  const width = (max - min) / Math.max(1, buckets.length);
  return buckets.map((_, i) => (i === buckets.length - 1 ? max : min + (i + 1) * width));
}
