/** Asserts that a model case trains like tfjs's own `fit`. */

import { expect } from 'vitest';
import type { RunConfigInput } from '../../../src/shared/config/run-config.js';
import type { Engine } from '../../../src/worker/engine/engine.js';
import type { ModelCase } from './model-case.js';
import { differences, norm, tolerance } from './differences.js';
import { CaseTraining, smallSize } from './train-case.js';

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

export async function expectFit(
  engine: Engine,
  modelCase: ModelCase,
  config: RunConfigInput = {},
): Promise<void> {
  const training = new CaseTraining(engine, modelCase, smallSize, config);
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
