import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Series, type SeriesCursor, type SeriesPart } from '../../src/dashboard/run-view/series.js';

const columns = { mean: 'mean', low: 'min', high: 'max', last: 'last' } as const;
const append = (series: Series<keyof typeof columns>, x: number, y: number): void =>
  series.append(x, { mean: y, low: y, high: y, last: y });

describe('a series of bounded length', () => {
  it('keeps every point up to its capacity', () => {
    const series = new Series(columns, 8);
    for (let x = 1; x <= 8; x++) append(series, x, x * x);
    expect(series.since()).toMatchObject({ from: 0, x: [1, 2, 3, 4, 5, 6, 7, 8] });
    expect(series.since().columns['mean']).toEqual([1, 4, 9, 16, 25, 36, 49, 64]);
  });

  it('merges neighbouring points beyond its capacity, with the mean, extremes and last value of all points', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -1000, max: 1000 }), { minLength: 1, maxLength: 500 }),
        (values) => {
          const series = new Series(columns, 8);
          values.forEach((y, i) => append(series, i + 1, y));
          const { x, columns: got } = series.since();
          expect(x.length).toBeLessThanOrEqual(8);
          expect(x.at(-1)).toBe(values.length);
          x.forEach((end, i) => {
            const own = values.slice(i === 0 ? 0 : x[i - 1], end);
            expect(got['low']?.[i]).toBe(Math.min(...own));
            expect(got['high']?.[i]).toBe(Math.max(...own));
            expect(got['last']?.[i]).toBe(own.at(-1));
            const mean = own.reduce((sum, y) => sum + y, 0) / own.length;
            expect(got['mean']?.[i]).toBeCloseTo(mean, 1);
          });
        },
      ),
    );
  });

  it('keeps the order of x whatever the order of insertion, and the later one of two values', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 60 }), (positions) => {
        const series = new Series({ y: 'mean' }, 64);
        const held = new Map<number, number>();
        for (const [i, x] of positions.entries()) {
          series.insert(x, { y: i });
          held.set(x, i);
        }
        const sorted = [...held].sort(([a], [b]) => a - b);
        const { x, columns: got } = series.since();
        expect(x).toEqual(sorted.map(([position]) => position));
        expect(got['y']).toEqual(sorted.map(([, value]) => value));
      }),
    );
  });

  it('has no more points than its capacity after insertions, and the extremes of all values', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.integer({ min: 1, max: 1000 }), { minLength: 1, maxLength: 200 }),
        (all) => {
          const series = new Series({ low: 'min', high: 'max' }, 8);
          for (const x of all) series.insert(x, { low: x, high: x });
          const { x, columns: got } = series.since();
          expect(x.length).toBeLessThanOrEqual(8);
          expect(x).toEqual([...new Set(x)].sort((a, b) => a - b));
          expect(Math.min(...(got['low'] as number[]))).toBe(Math.min(...all));
          expect(Math.max(...(got['high'] as number[]))).toBe(Math.max(...all));
          expect(x.at(-1)).toBe(Math.max(...all));
        },
      ),
    );
  });

  it('merges rates by the time that they stand for, so that a moment of a high rate weighs little', () => {
    const series = new Series({ rate: 'harmonicMean' }, 4);
    // 64 samples per step: 15 steps of 72 ms and one that is reported 2 ms after the step before it.
    const gaps = Array.from({ length: 16 }, (_, i) => (i === 5 ? 2 : 72));
    gaps.forEach((ms, i) => series.append(i + 1, { rate: (64 / ms) * 1000 }));
    const { x, columns: got } = series.since();
    expect(x).toEqual([4, 8, 12, 16]);
    expect(got['rate']?.[1]).toBeCloseTo((4 * 64) / (0.072 * 3 + 0.002), 1);
    expect(got['rate']?.[2]).toBeCloseTo(64 / 0.072, 1);
  });

  it('sends new points to a follower, which then has the same points', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 12 }), { maxLength: 30 }), (bursts) => {
        const series = new Series(columns, 8);
        let cursor: SeriesCursor | undefined;
        let x: number[] = [];
        let mean: (number | null)[] = [];
        let next = 1;
        for (const burst of bursts) {
          for (let i = 0; i < burst; i++) append(series, next++, i);
          if (burst === 11) series.truncate(next - 5);
          const part: SeriesPart = series.since(cursor);
          x = [...x.slice(0, part.from), ...part.x];
          mean = [...mean.slice(0, part.from), ...(part.columns['mean'] ?? [])];
          ({ cursor } = part);
          expect({ x, mean }).toEqual({ x: series.since().x, mean: series.since().columns['mean'] });
        }
      }),
    );
  });

  it('removes the points of steps that a resumed run repeats', () => {
    const series = new Series(columns, 8);
    for (let x = 1; x <= 6; x++) append(series, x, x);
    series.truncate(4);
    append(series, 5, 50);
    expect(series.since().columns['mean']).toEqual([1, 2, 3, 4, 50]);
  });

  it('contains null in place of values that are not finite', () => {
    const series = new Series(columns, 8);
    append(series, 1, Number.NaN);
    expect(series.since().columns['mean']).toEqual([null]);
  });
});
