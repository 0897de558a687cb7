/** Models on the kernels that native TensorFlow uses on a GPU, computed on the CPU. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../src/worker/engine/engine.js';
import { kernelsOf } from '../../src/worker/kernels/choose.js';
import { gpuKernels } from '../support/gpu-kernels.js';
import { engineFor } from '../support/in-process.js';
import { expectFit } from '../support/zoo/expect-fit.js';
import { expectSameBits } from '../support/zoo/expect-same-bits.js';
import { modelCases } from '../support/zoo/model-cases.js';

/** Pictures, whose layers have kernels that depend on the device, and a part of the others. */
const cases = modelCases
  .filter(({ name }, at) => name.startsWith('pictures') || at % 10 === 0)
  .map((modelCase) => [modelCase.name, modelCase] as const);

describe('a model on the kernels for a GPU', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await engineFor('tensorflow');
    expect(gpuKernels(engine).name).toBe('tensorflow');
    expect(kernelsOf(engine).name).toBe('tensorflow');
  });

  it.each(cases)("trains like tfjs's fit: %s", async (_, modelCase) => {
    await expectFit(engine, modelCase);
  });

  it.each(cases.filter((_, at) => at % 6 === 0))(
    'has the same bits with 1, 2 and 3 workers: %s',
    async (_, modelCase) => {
      await expectSameBits(engine, modelCase);
    },
  );
});
