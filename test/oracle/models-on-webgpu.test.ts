import { beforeAll, describe, it } from 'vitest';
import type { Engine } from '../../src/worker/engine/engine.js';
import { engineFor } from '../support/in-process.js';
import { gpuTitle, missingGpu } from '../support/software-gpu.js';
import { expectFit } from '../support/zoo/expect-fit.js';
import { expectSameBits } from '../support/zoo/expect-same-bits.js';
import { modelCases } from '../support/zoo/model-cases.js';

describe.skipIf(missingGpu !== undefined)(gpuTitle('a model on the engine webgpu'), () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await engineFor('webgpu');
  });

  const cases = modelCases.map((modelCase) => [modelCase.name, modelCase] as const);

  it.each(cases)("trains like tfjs's fit: %s", async (_, modelCase) => {
    await expectFit(engine, modelCase);
  });

  it.each(cases)('has the same bits with 1, 2 and 3 workers: %s', async (_, modelCase) => {
    await expectSameBits(engine, modelCase);
  });
});
