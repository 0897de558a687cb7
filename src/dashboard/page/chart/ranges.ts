/** Ranges of a chart's axes. */

export interface Bounds {
  readonly min: number;
  readonly max: number;
}

type Range = [min: number, max: number];

/** Share of the range of the values that is added on both sides. */
const margin = 0.08;

/**
 * The range of a value axis. A single value is in the middle of a range of a fifth of it, and not of one that begins at 0. The range
 * does not leave the bounds of the values, such as 0 to 100 %.
 * @param min smallest value; null without values
 */
export function valueRange(min: number | null, max: number | null, bounds: Bounds | undefined): Range {
  const { min: least, max: most } = bounds ?? { min: -Infinity, max: Infinity };
  if (min === null || max === null || !Number.isFinite(min) || !Number.isFinite(max))
    return bounds ? [least, most] : [0, 1];
  const spread = max - min;
  const isFlat = spread <= Math.max(Math.abs(min), Math.abs(max)) * 1e-9;
  const pad = isFlat ? Math.abs(max) / 10 || 0.1 : spread * margin;
  // Values that are nearly all positive begin at 0.
  const nearZero = !isFlat && min >= 0 && min < spread / 2;
  const from = Math.max(least, nearZero ? 0 : min - pad);
  const to = Math.min(most, max + pad);
  return to > from ? [from, to] : [Math.max(least, from - pad), to];
}

/** The range of the axis of steps, times or epochs. */
export function xRange(min: number | null, max: number | null): Range {
  if (min === null || max === null) return [0, 1];
  return max > min ? [min, max] : [min - 1, max + 1];
}
