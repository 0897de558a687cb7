import { expect, it } from 'vitest';
import {
  checkNumerics,
  defaultNumericsCalls,
  numericsCases,
} from '../../src/worker/numerics/check-numerics.js';
import { engineFor } from '../support/in-process.js';

it('every operation of the native engine gives equal, finite bits in 300 calls', async () => {
  const engine = await engineFor('tensorflow');
  const results = checkNumerics(engine, numericsCases(engine));
  expect(defaultNumericsCalls).toBe(300);
  expect(results.every(({ calls }) => calls === 300)).toBe(true);
  expect(results.filter(({ stable }) => !stable)).toEqual([]);
}, 900_000);
