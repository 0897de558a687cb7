import { beforeAll, describe, it } from 'vitest';
import type { Engine } from '../../src/worker/engine/engine.js';
import { engineFor } from '../support/in-process.js';
import { expectSameBits } from '../support/zoo/expect-same-bits.js';
import { drawingModels } from '../support/zoo/drawing-models.js';
import { modelCases } from '../support/zoo/model-cases.js';

const cases = [...modelCases, ...drawingModels].map((modelCase) => [modelCase.name, modelCase] as const);
/** tfjs's native backend has no kernel for it, so that it is refused there. */
const onWasmOnly = ['preprocessing: CategoryEncoding'];

describe.each([
  ['wasm', 'float32'],
  ['tensorflow', 'float32'],
  ['tensorflow', 'bfloat16'],
] as const)(
  'on %s in %s, a model trains to the same bits on 1, 2 and 3 workers and in a single process with 4 shards',
  (choice, precision) => {
    let engine: Engine;
    beforeAll(async () => {
      engine = await engineFor(choice);
    });

    it.each(cases.filter(([name]) => choice === 'wasm' || !onWasmOnly.includes(name)))(
      '%s',
      async (_, modelCase) => {
        await expectSameBits(engine, modelCase, { precision });
      },
    );
  },
);
