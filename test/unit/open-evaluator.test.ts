import { expect, it } from 'vitest';
import { resolveConfig } from '../../src/cli/options/resolve.js';
import { runConfigSchema } from '../../src/shared/config/run-config.js';
import { DataError } from '../../src/shared/errors.js';
import { openEvaluator } from '../../src/worker/evaluation/open-evaluator.js';
import { engineFor, syntheticData } from '../support/in-process.js';

const engine = await engineFor('wasm');

it('reports other data than those of the run before it compares them with the shape of the model', async () => {
  const model = engine.tf.sequential({ layers: [engine.tf.layers.dense({ units: 10, inputShape: [2] })] });
  const config = resolveConfig(runConfigSchema.parse({ workers: 1, threads: 1 }), { cores: 1, gpus: [] });
  const source = { load: () => Promise.resolve(syntheticData(12)) };
  const functions = { losses: new Map(), metrics: new Map(), augmentations: [] };
  const open = (check?: Parameters<typeof openEvaluator>[5]) =>
    openEvaluator(engine, config, model, { source, functions }, undefined, check);
  // Pictures of 8x8 do not fit the model, which is the error without a check.
  await expect(open()).rejects.toThrow(/expects samples of 2, but synthetic has 8x8x1/);
  const others = new DataError('other data');
  const names: string[] = [];
  const check = ({ name }: { readonly name: string }): Promise<void> => {
    names.push(name);
    return Promise.reject(others);
  };
  await expect(open(check)).rejects.toBe(others);
  expect(names).toEqual(['synthetic']);
  model.dispose();
});
