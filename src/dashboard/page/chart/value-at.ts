/** The value of a line at a step. */

/** Returns the value of the last point that is not after `step`, or of the last point; undefined if there is none. */
export function valueAt(
  x: readonly number[],
  y: readonly (number | null)[],
  step: number | null,
): number | null | undefined {
  if (step === null) return y.at(-1);
  let [low, high] = [0, x.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((x[middle] ?? 0) <= step) low = middle + 1;
    else high = middle;
  }
  // All points before `low` are at or before the step.
  return y[low - 1];
}
