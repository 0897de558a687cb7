import { beforeAll, describe, expect, it } from 'vitest';
import { trainStep } from '../../src/worker/training/train-step.js';
import { everyLayerModels } from '../support/every-layer-models.js';
import { alone, engineFor, syntheticData } from '../support/in-process.js';

const data = syntheticData(96);

/** The losses of three steps, two of which follow an update, by each model's name. */
async function lossesOf(choice: 'tensorflow' | 'wasm'): Promise<Map<string, readonly number[]>> {
  const engine = await engineFor(choice);
  const losses = new Map<string, readonly number[]>();
  for (const [name, build] of everyLayerModels) {
    const config = {
      batchSize: 48,
      shards: 2,
      seed: 3,
      optimizer: { kind: 'sgd', learningRate: 0.1 },
    } as const;
    const participation = await alone(engine, build, config, data);
    losses.set(
      name,
      [1, 2, 3].map((step) => trainStep(participation, participation.sampler.plan(step)).loss),
    );
  }
  return losses;
}

/**
 * tfjs's layers, each between Lockstep's own: native TensorFlow and WebAssembly are programs that share no arithmetic, so where
 * both come to the same losses over steps that depend on every gradient, neither has a wrong one.
 */
describe('every layer of tfjs trains on native TensorFlow and on WebAssembly, to the same losses', () => {
  let [native, wasm] = [new Map<string, readonly number[]>(), new Map<string, readonly number[]>()];
  beforeAll(async () => {
    wasm = await lossesOf('wasm');
    native = await lossesOf('tensorflow');
  });

  it.each(everyLayerModels.map(([name]) => name))('%s', (name) => {
    const [one = [], other = []] = [native.get(name), wasm.get(name)];
    expect(one).toHaveLength(3);
    expect(new Set(one).size).toBe(3);
    for (const [i, loss] of one.entries()) expect((other[i] ?? 0) / loss).toBeCloseTo(1, 5);
  });
});
