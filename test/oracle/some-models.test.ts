/** A few of the models of models.test.ts and models-on-workers.test.ts, which belong to the long suite. */

import { beforeAll, expect, it } from 'vitest';
import type { Engine } from '../../src/worker/engine/engine.js';
import { engineFor } from '../support/in-process.js';
import { expectFit } from '../support/zoo/expect-fit.js';
import { expectSameBits } from '../support/zoo/expect-same-bits.js';
import { modelCases } from '../support/zoo/model-cases.js';

const names = [
  'text: convolution and maximum',
  'series: product of both directions',
  'pictures: U-Net',
  'siamese: one tower for two inputs',
  'nested: two blocks with layers of equal names',
  'several outputs: two heads on one trunk',
  'attention: a transformer block',
];

let engine: Engine;
beforeAll(async () => {
  engine = await engineFor('wasm');
});

it.each(names)('%s: trains like tfjs.fit, and to the same bits for any number of workers', async (name) => {
  const modelCase = modelCases.find((one) => one.name === name);
  if (!modelCase) throw new Error(`Expected a model "${name}", got none.`);
  await expectFit(engine, modelCase);
  await expectSameBits(engine, modelCase);
});

it('a name belongs to one model', () => {
  const all = modelCases.map(({ name }) => name);
  expect(new Set(all).size).toBe(all.length);
  expect(all.length).toBeGreaterThan(45);
});
