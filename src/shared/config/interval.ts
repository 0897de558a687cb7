/** Intervals such as `200steps`, `1epoch`, `30s`, `5min`, `1h`. */

import { InvariantError } from '../errors.js';

export const intervalPattern = /^([1-9]\d{0,8})(steps?|epochs?|s|min|h)$/;

export type Interval =
  | { readonly unit: 'steps' | 'epochs'; readonly count: number }
  /** Milliseconds. */
  | { readonly unit: 'time'; readonly count: number };

const milliseconds = { s: 1_000, min: 60_000, h: 3_600_000 } as const;

/** Pattern of intervals that depend on the step only, so that all workers agree on them. */
export const stepIntervalPattern = /^([1-9]\d{0,8})(steps?|epochs?)$/;

/** Parses a text that matches `intervalPattern`. */
export function parseInterval(text: string): Interval {
  const [, count, unit = ''] = intervalPattern.exec(text) ?? [];
  if (count === undefined) throw new InvariantError(`"${text}" is not an interval`);
  if (unit.startsWith('step')) return { unit: 'steps', count: Number(count) };
  if (unit.startsWith('epoch')) return { unit: 'epochs', count: Number(count) };
  return { unit: 'time', count: Number(count) * milliseconds[unit as keyof typeof milliseconds] };
}

/** Returns true if an interval in steps or epochs ends with this step. */
export function endsWith({ unit, count }: Interval, step: number, stepsPerEpoch: number): boolean {
  return unit !== 'time' && step % (unit === 'steps' ? count : count * stepsPerEpoch) === 0;
}
