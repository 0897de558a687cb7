import { beforeAll, describe, it } from 'vitest';
import type { Engine } from '../../src/worker/engine/engine.js';
import { engineFor } from '../support/in-process.js';
import { expectFit } from '../support/zoo/expect-fit.js';
import { modelCases } from '../support/zoo/model-cases.js';

describe('a model trains to the losses, weights and predictions of tfjs.fit', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await engineFor('wasm');
  });

  it.each(modelCases.map((modelCase) => [modelCase.name, modelCase] as const))('%s', async (_, modelCase) => {
    await expectFit(engine, modelCase);
  });

  it.each(modelCases.filter(({ name }) => name.includes('BatchNorm')).map(({ name }) => name))(
    "%s, with tfjs's running variance",
    async (name) => {
      const modelCase = modelCases.find((one) => one.name === name);
      if (modelCase) await expectFit(engine, modelCase, { arithmetic: 'tfjs' });
    },
  );
});
