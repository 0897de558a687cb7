/** The distances of a training from its reference. */

import type { Fit } from './tfjs-fit.js';
import type { Trained } from './train-case.js';

/** Relative error of each loss and, as a norm, of each weight tensor. */
export const tolerance = 1e-5;

export const norm = (values: Iterable<number>): number => {
  let sum = 0;
  for (const value of values) sum += value * value;
  return Math.sqrt(sum);
};

export function relativeError(got: ArrayLike<number>, expected: ArrayLike<number>): number {
  const difference = Array.from(got, (value, i) => value - (expected[i] ?? Number.NaN));
  return norm(difference) / norm(Array.from(expected));
}

/** Losses, weights and predictions of a training, or of another reference. */
export type Comparable = Pick<Trained, 'losses' | 'predictions' | 'names'> & {
  readonly weights: readonly ArrayLike<number>[];
};

export interface Differences {
  readonly loss: number;
  readonly predictions: number;
  /** Relative error of each weight tensor by its name. */
  readonly weights: readonly (readonly [name: string, error: number])[];
}

export function differences(trained: Comparable, reference: Fit): Differences {
  return {
    loss: Math.max(
      ...reference.losses.map(
        (loss, i) => Math.abs((trained.losses[i] ?? Number.NaN) - loss) / Math.abs(loss),
      ),
    ),
    predictions: relativeError(trained.predictions, reference.predictions),
    weights: trained.weights.map((weight, i) => [
      trained.names[i] ?? '',
      relativeError(weight, reference.weights[i] ?? []),
    ]),
  };
}
