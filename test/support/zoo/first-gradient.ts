/** The gradient of a model case's first step by weight, and the check that the number of workers changes no bit of it. */

import { expect } from 'vitest';
import type { Engine } from '../../../src/worker/engine/engine.js';
import { Recording } from '../workers-in-process.js';
import { norm } from './differences.js';
import type { ModelCase } from './model-case.js';
import { CaseTraining, type CaseSize } from './train-case.js';

/** A batch of 4 samples and one of 1, so that a shard is empty in the second step. */
const size: CaseSize = { samples: 5, batchSize: 4, epochs: 1, shards: 2, seed: 5 };

/** One entry per trainable weight, in backward order. Two builds of a model have layers of other names. */
export type Gradient = readonly { readonly name: string; readonly values: Float32Array }[];

/** Trains with all shards in one worker and, with `counts`, as each of these numbers of workers, which must have the same bits. */
export async function firstGradient(
  engine: Engine,
  modelCase: ModelCase,
  counts: readonly number[] = [],
): Promise<Gradient> {
  // With the ledger, an engine reads the gradient of each shard, which is compared. WebGPU otherwise adds those of a worker.
  const training = new CaseTraining(engine, modelCase, size, { audit: counts.length > 0 });
  const recording = new Recording();
  const { parameters, weightsSha256, losses } = await training.alone({ recording });
  expect(losses.every(Number.isFinite)).toBe(true);
  for (const count of counts)
    expect(await training.workers(count, recording)).toEqual(
      Array.from({ length: count }, () => weightsSha256),
    );
  const flat = recording.gradient(1);
  let offset = 0;
  return parameters.map(({ name, size: length }) => ({
    name,
    values: flat.slice(offset, (offset += length)),
  }));
}

/**
 * Expects the gradient of each weight within `tolerance` of another engine's, relative to its norm. The gradient of some weights is
 * zero, for example of a bias before a BatchNorm; both engines then have rounding errors, which are compared with the whole gradient.
 */
export function expectGradient(got: Gradient, expected: Gradient, tolerance: number): void {
  const whole = norm(expected.flatMap(({ values }) => [...values]));
  expect(whole).toBeGreaterThan(0);
  expect(got).toHaveLength(expected.length);
  const wrong = got.flatMap(({ name, values }, i) => {
    const reference = expected[i]?.values ?? new Float32Array(0);
    const error = norm(reference.map((value, at) => value - (values[at] ?? Number.NaN)));
    const relative = error / Math.max(norm(reference), 1e-3 * whole);
    return values.length === reference.length && relative < tolerance ? [] : [`${name}: ${relative}`];
  });
  expect(wrong).toEqual([]);
}
