/** Asserts that the number of workers changes no bit of a model case. */

import { expect } from 'vitest';
import type { RunConfigInput } from '../../../src/shared/config/run-config.js';
import type { Engine } from '../../../src/worker/engine/engine.js';
import { Recording } from '../workers-in-process.js';
import type { ModelCase } from './model-case.js';
import { CaseTraining, type CaseSize } from './train-case.js';

/** Batches of 8 and 2 samples, so that shards are empty in the second and the fourth step. */
const size: CaseSize = { samples: 10, batchSize: 8, epochs: 2, shards: 4, seed: 5 };

export async function expectSameBits(
  engine: Engine,
  modelCase: ModelCase,
  config: RunConfigInput = {},
): Promise<void> {
  const training = new CaseTraining(engine, modelCase, size, config);
  const recording = new Recording();
  const { weightsSha256, losses } = await training.alone({ recording });
  expect(losses.every(Number.isFinite)).toBe(true);
  for (const workers of [1, 2, 3]) {
    const hashes = await training.workers(workers, recording);
    expect(hashes).toEqual(Array.from({ length: workers }, () => weightsSha256));
  }
}
