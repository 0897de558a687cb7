/** Smoothing of a line, as TensorBoard does it. */

/**
 * Returns the exponential moving average of the values, without the bias of its first ones: after n values the average is divided by
 * 1 - weight^n. Missing values stay missing and do not count.
 * @param weight weight of the previous values, from 0 (the values themselves) to below 1
 */
export function smoothed(values: readonly (number | null)[], weight: number): (number | null)[] {
  let average = 0;
  /** weight^n */
  let remaining = 1;
  return values.map((value) => {
    if (value === null) return null;
    average = average * weight + (1 - weight) * value;
    remaining *= weight;
    return average / (1 - remaining);
  });
}
