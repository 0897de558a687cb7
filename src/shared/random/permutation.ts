/** The order in which an epoch visits the training set, a function of (seed, epoch). */

import { PhiloxSequence, philoxKey } from './philox.js';

/** Fisher-Yates shuffle of 0..count-1; a function of its arguments alone. `epoch` counts from 0. */
export function epochPermutation(seed: number, epoch: number, count: number): Int32Array {
  const order = inOrder(count);
  const random = new PhiloxSequence(philoxKey(seed, 'permutation'), epoch);
  for (let i = count - 1; i > 0; i--) {
    const j = random.below(i + 1);
    const swapped = order[i] ?? 0;
    order[i] = order[j] ?? 0;
    order[j] = swapped;
  }
  return order;
}

/** 0..count-1 in order. */
export function inOrder(count: number): Int32Array {
  const order = new Int32Array(count);
  for (let i = 0; i < count; i++) order[i] = i;
  return order;
}
