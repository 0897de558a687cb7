import { expect, it } from 'vitest';
import { valueAt } from '../../src/dashboard/page/chart/value-at.js';

it.each([
  [9, undefined],
  [10, 0.1],
  [15, 0.1],
  [19.9, 0.1],
  [20, 0.2],
  [25, 0.2],
  [30, 0.3],
  [31, 0.3],
  [null, 0.3],
])('the value at step %s is that of the last point that is not after it: %s', (step, expected) => {
  expect(valueAt([10, 20, 30], [0.1, 0.2, 0.3], step)).toBe(expected);
});

it('a line without points has no value', () => {
  expect(valueAt([], [], 3)).toBeUndefined();
  expect(valueAt([], [], null)).toBeUndefined();
});
