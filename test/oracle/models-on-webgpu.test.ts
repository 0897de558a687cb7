import { beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../src/worker/engine/engine.js';
import { engineFor } from '../support/in-process.js';
import { gpuTitle, missingGpu } from '../support/software-gpu.js';
import { expectFit } from '../support/zoo/expect-fit.js';
import { expectSameBits } from '../support/zoo/expect-same-bits.js';
import { modelCases } from '../support/zoo/model-cases.js';

/** A part of the cases of models.test.ts: a software driver compiles the shaders of a model for seconds. */
const names: readonly string[] = [
  'text: SimpleRNN',
  'text: mean of embeddings',
  'text: convolution and maximum',
  'text: masked embedding and two SimpleRNNs',
  'series: one cell',
  'pictures: VGG block with BatchNorm',
];
const namesOfSameBits: readonly string[] = ['text: mean of embeddings', 'series: one cell'];

describe.skipIf(missingGpu !== undefined)(gpuTitle('a model on the engine webgpu'), () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await engineFor('webgpu');
  });

  const casesOf = (wanted: readonly string[]) =>
    modelCases
      .filter(({ name }) => wanted.includes(name))
      .map((modelCase) => [modelCase.name, modelCase] as const);

  it('has a case for each name', () => {
    expect(casesOf([...names, ...namesOfSameBits])).toHaveLength(names.length);
  });

  it.each(casesOf(names))("trains like tfjs's fit: %s", async (_, modelCase) => {
    await expectFit(engine, modelCase);
  });

  it.each(casesOf(namesOfSameBits))('has the same bits with 1, 2 and 3 workers: %s', async (_, modelCase) => {
    // Without --audit, the gradients of a worker's shards are added on the GPU, and there is no gradient of one shard to compare
    // (unit/webgpu-shard-sums and e2e/webgpu show the sums).
    await expectSameBits(engine, modelCase, { audit: true });
  });
});
