/** Asserts that a model case trains like tfjs's own `fit`. */

import { expect } from 'vitest';
import type { Engine } from '../../../src/worker/engine/load.js';
import type { ModelCase } from './model-case.js';
import type { Fit } from './tfjs-fit.js';
import { CaseTraining, smallSize, type Trained } from './train-case.js';

/** Relative error of each loss and, as a norm, of each weight tensor. */
const tolerance = 1e-5;

const norm = (values: Iterable<number>): number => {
  let sum = 0;
  for (const value of values) sum += value * value;
  return Math.sqrt(sum);
};

export function relativeError(got: ArrayLike<number>, expected: ArrayLike<number>): number {
  const difference = Array.from(got, (value, i) => value - (expected[i] ?? Number.NaN));
  return norm(difference) / norm(Array.from(expected));
}

export interface Differences {
  readonly loss: number;
  readonly predictions: number;
  /** Relative error of each weight tensor by its name. */
  readonly weights: readonly (readonly [name: string, error: number])[];
}

export function differences(trained: Trained, reference: Fit): Differences {
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

/** Relative error of a weight's total change, which may be small beside the weight. */
const changeTolerance = 1e-3;
/** Rounding of the weight itself over the steps, relative to the weight. */
const rounding = 1e-6;

/** True if a weight changed from `initial` as the reference did. */
function changesAlike(got: Float32Array, expected: Float64Array, initial: Float32Array): boolean {
  const difference = norm(expected.map((value, i) => value - (got[i] ?? Number.NaN)));
  const change = norm(expected.map((value, i) => value - (initial[i] ?? Number.NaN)));
  return difference <= changeTolerance * change + rounding * norm(expected);
}

export async function expectFit(engine: Engine, modelCase: ModelCase): Promise<void> {
  const training = new CaseTraining(engine, modelCase, smallSize);
  const trained = await training.alone({ predict: true });
  const reference = await training.fit(trained);
  const found = differences(trained, reference);
  const wrong = found.weights.filter(([, error]) => !(error < tolerance));
  expect({ loss: found.loss, predictions: found.predictions, wrong }).toEqual({
    loss: expect.toSatisfy((error: number) => error < tolerance) as number,
    predictions: expect.toSatisfy((error: number) => error < tolerance) as number,
    wrong: [],
  });
  const changed = trained.names.filter((_, i) => {
    const [got, expected] = [trained.weights[i], reference.weights[i]];
    return !got || !expected || !changesAlike(got, expected, trained.initialWeights[i] ?? got);
  });
  expect(changed).toEqual([]);
}
