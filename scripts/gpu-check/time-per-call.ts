/** The time of one call of a kernel from the times of a single call and of several calls, each of which ends with a read. */

/** Times in milliseconds of repetitions of the same measurement. */
export interface CallTimes {
  /** One call and a read. */
  readonly single: readonly number[];
  /** `calls` more calls, and a read. */
  readonly several: readonly number[];
  readonly calls: number;
}

/**
 * Describes the time of one call, without that of the read. The shortest repetitions count, because other programs only lengthen them.
 * @param operations floating-point operations of a call, for the rate
 */
export function timePerCall({ single, several, calls }: CallTimes, operations?: number): string {
  const ms = (Math.min(...several) - Math.min(...single)) / calls;
  if (!(ms > 0)) return 'shorter than the noise of the measurement';
  const rate = operations === undefined ? '' : `, ${(operations / ms / 1e6).toFixed(0)} GFLOP/s`;
  return `${ms.toFixed(3)} ms${rate}`;
}
