import { describe, expect, it } from 'vitest';
import { recordOps } from '../../src/worker/kernels/record-ops.js';
import { checkNumerics, numericsCases } from '../../src/worker/numerics/check-numerics.js';
import { trainStep } from '../../src/worker/training/train-step.js';
import { everyLayerModels } from '../support/every-layer-models.js';
import { alone, engineFor, syntheticData } from '../support/in-process.js';

const engine = await engineFor('tensorflow');
const { tf } = engine;

/** numerics-300-calls.test.ts runs the same check ten times as long. */
const calls = 30;

describe('every operation of the native engine', () => {
  const cases = numericsCases(engine);

  it('gives equal, finite bits for equal inputs, whatever free memory contained before', () => {
    const results = checkNumerics(engine, cases, calls);
    expect(results.filter(({ stable }) => !stable)).toEqual([]);
    expect(results.length).toBeGreaterThan(450);
  });

  it('is checked if the training of any layer of tfjs executes it', async () => {
    const checked = new Set(checkNumerics(engine, cases, 1).flatMap(({ tensorflowOps }) => tensorflowOps));
    const data = syntheticData(96);
    const missing = new Map<string, string>();
    for (const [model, build] of everyLayerModels) {
      const participation = await alone(engine, build, { batchSize: 48, shards: 2, seed: 3 }, data);
      const executed = recordOps(tf, () => void trainStep(participation, participation.sampler.plan(1)));
      for (const { name } of executed) if (!checked.has(name)) missing.set(name, model);
    }
    expect([...missing]).toEqual([]);
  });
});
