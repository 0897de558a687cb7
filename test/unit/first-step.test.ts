import { expect, it } from 'vitest';
import { convNet } from '../../examples/mnist/convnet.js';
import { loadMnist } from '../../src/shared/data/dataset.js';
import { imageData } from '../../src/shared/data/training-data.js';
import { trainStep } from '../../src/worker/training/train-step.js';
import { alone, engineFor } from '../support/in-process.js';

const norm = (values: ArrayLike<number>): number =>
  Math.sqrt(Array.from(values).reduce((sum, value) => sum + value * value, 0));

it('the first step of the ConvNet, with Dropout and BatchNorm, does not depend on the number of shards', async () => {
  const engine = await engineFor('tensorflow');
  const data = imageData(await loadMnist(), { mean: 0.5, std: 0.5 });
  const results = [];
  for (const shards of [1, 2, 3]) {
    const context = await alone(engine, convNet, { batchSize: 64, shards, seed: 5 }, data);
    const { buckets, executor, replica, sampler } = context;
    const finish = buckets.finish.bind(buckets);
    let flat = new Float32Array(0);
    buckets.finish = (examine) => {
      const gradient = finish(examine);
      flat = Float32Array.from(gradient);
      return gradient;
    };
    const { loss } = trainStep(context, sampler.plan(1));
    let offset = 0;
    const gradients = executor.backwardOrder.map((weight) => {
      const { name, shape } = replica.layout[weight]!;
      const size = shape.reduce((product, extent) => product * extent, 1);
      return { name, values: flat.subarray(offset, (offset += size)) };
    });
    results.push({ loss, gradients });
  }
  const [one, ...others] = results;
  for (const { loss, gradients } of others) {
    expect(Math.abs(loss - one!.loss) / one!.loss).toBeLessThan(1e-6);
    for (const [i, { name, values }] of gradients.entries()) {
      const expected = one!.gradients[i]!.values;
      const distance = norm(values.map((value, at) => value - expected[at]!));
      // Max-pool ties on the digits' flat background fall either way when a statistic rounds differently.
      expect(distance, name).toBeLessThanOrEqual(5e-3 * norm(expected));
    }
  }
});
