import { expect, it } from 'vitest';
import { trainStep } from '../../src/worker/training/train-step.js';
import { TrainingState } from '../../src/worker/training/training-state.js';
import { readStatistics } from '../../src/worker/training/weights.js';
import { alone, engineFor, syntheticData } from '../support/in-process.js';

it('a step changes nothing before its commit, then the running statistics, then the parameters', async () => {
  const engine = await engineFor('js');
  const read = (): { statistics: number[]; weights: number[] } => ({
    statistics: [...readStatistics(context.replica)],
    weights: [...(context.state.optimizer.save().get('weights') ?? [])],
  });
  const atApply: ReturnType<typeof read>[] = [];
  const context = await alone(
    engine,
    ({ tf }) =>
      tf.sequential({
        layers: [
          tf.layers.flatten({ inputShape: [8, 8, 1] }),
          tf.layers.dense({ units: 6 }),
          tf.layers.batchNormalization(),
          tf.layers.dense({ units: 10 }),
        ],
      }),
    { batchSize: 12, shards: 2, seed: 3 },
    syntheticData(24),
    { onFaultPoint: (point) => point === 'mid-commit' && atApply.push(read()) },
  );
  const { executor, state, buckets } = context;
  const calls: string[] = [];
  const record = <T extends object>(target: T, method: keyof T & string): void => {
    const original = target[method] as (...args: unknown[]) => unknown;
    Object.assign(target, {
      [method]: (...args: unknown[]): unknown => {
        calls.push(method);
        return original.apply(target, args);
      },
    });
  };
  record(buckets, 'finish');
  record(executor, 'commit');
  record(state, 'update');
  const before = read();

  trainStep(context, context.sampler.plan(1));

  expect(calls).toEqual(['finish', 'commit', 'update']);
  const [between] = atApply;
  const after = read();
  expect(atApply).toHaveLength(1);
  expect(between?.statistics).not.toEqual(before.statistics);
  expect(between?.weights).toEqual(before.weights);
  expect(after.statistics).toEqual(between?.statistics);
  expect(after.weights).not.toEqual(before.weights);
});

it('a step whose loss is not finite changes nothing', async () => {
  const engine = await engineFor('js');
  const data = syntheticData(24);
  const broken = {
    ...data.train,
    fill: (indices: Int32Array, into: Parameters<typeof data.train.fill>[1]) => {
      void data.train.fill(indices, into);
      // Finite values whose products with weights are not.
      into.inputs[0]?.fill(3e38);
    },
  };
  const context = await alone(
    engine,
    ({ tf }) =>
      tf.sequential({
        layers: [
          tf.layers.flatten({ inputShape: [8, 8, 1] }),
          tf.layers.dense({ name: 'overflows', units: 8, kernelInitializer: 'ones' }),
          tf.layers.batchNormalization(),
          tf.layers.dense({ units: 10 }),
        ],
      }),
    { batchSize: 12, shards: 2, seed: 3 },
    { ...data, train: broken },
  );
  const before = [...context.state.save()].map(([name, values]) => [name, [...values]]);
  expect(() => trainStep(context, context.sampler.plan(1))).toThrow(
    /expected a finite output of layer "overflows".*step 1, shard 0, loss NaN/,
  );
  expect([...context.state.save()].map(([name, values]) => [name, [...values]])).toEqual(before);
});

it('building a training state and restoring it report each parameter as progress', async () => {
  const engine = await engineFor('js');
  const { replica, state } = await alone(
    engine,
    ({ tf }) =>
      tf.sequential({
        layers: [
          tf.layers.flatten({ inputShape: [8, 8, 1] }),
          tf.layers.dense({ units: 6 }),
          tf.layers.dense({ units: 10 }),
        ],
      }),
    { batchSize: 12, shards: 2, seed: 3 },
    syntheticData(24),
  );
  let parts = 0;
  const other = new TrainingState(replica, state.optimizer.parameters, () => parts++);
  expect(parts).toBe(4);
  other.restore(state.save(), new Map());
  expect(parts).toBe(8);
});
