import { randomInt } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../src/worker/engine/engine.js';
import { engineFor } from '../support/in-process.js';
import { checkRandomModel, describeRandomModel } from '../support/zoo/check-random-model.js';

/** Other models in each run. The seeds are in the names of the tests. */
const firstSeed = randomInt(2 ** 31);
const seeds = Array.from({ length: 30 }, (_, i) => firstSeed + i);

describe('a random model is refused with the name of a layer, or trains to equal bits and to the values of tfjs.fit', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await engineFor('wasm');
  });

  it.each(seeds)('npm run fuzz:models -- --models 1 --seed %i', async (seed) => {
    const outcome = await checkRandomModel(engine, seed);
    expect(['refused', 'trained'], describeRandomModel(engine, seed)).toContain(outcome.kind);
  });

  it('is the same for the same seed, and another one for most other seeds', () => {
    const [first, ...others] = [firstSeed, ...seeds].map((seed) => describeRandomModel(engine, seed));
    expect(others[0]).toBe(first);
    expect(new Set(others).size).toBeGreaterThan(20);
  });
});
