/** Asserts that the number of workers changes no bit of a model case. */

import { expect } from 'vitest';
import type { RunConfigInput } from '../../../src/shared/config/run-config.js';
import type { Engine } from '../../../src/worker/engine/load.js';
import { Recording } from '../workers-in-process.js';
import type { ModelCase } from './model-case.js';
import { CaseTraining, smallSize } from './train-case.js';

const shards = 4;

export async function expectSameBits(
  engine: Engine,
  modelCase: ModelCase,
  config: RunConfigInput = {},
): Promise<void> {
  const training = new CaseTraining(engine, modelCase, { ...smallSize, shards }, config);
  const recording = new Recording();
  const { weightsSha256, losses } = await training.alone({ recording });
  expect(losses.every(Number.isFinite)).toBe(true);
  for (const workers of [1, 2, 3]) {
    const hashes = await training.workers(workers, recording);
    expect(hashes).toEqual(Array.from({ length: workers }, () => weightsSha256));
  }
}
