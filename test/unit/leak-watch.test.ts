import type { Tensor } from '@tensorflow/tfjs';
import { expect, it } from 'vitest';
import { LeakWatch } from '../../src/worker/training/leak-watch.js';
import { trainStep } from '../../src/worker/training/train-step.js';
import { alone, engineFor, syntheticData } from '../support/in-process.js';

const engine = await engineFor('wasm');

/** Warnings of a training of 14 steps with a layer that keeps `kept` tensors at each of its two calls, one per shard. */
async function warningsOf(kept: number): Promise<string[]> {
  const { tf } = engine;
  class Keeper extends tf.layers.Layer {
    static readonly className = `Keeper${kept}`;
    override call(inputs: Tensor | Tensor[]): Tensor {
      for (let i = 0; i < kept; i++) tf.keep(tf.scalar(i));
      return tf.mul(Array.isArray(inputs) ? (inputs[0] as Tensor) : inputs, 2);
    }
  }
  const build = () =>
    tf.sequential({
      layers: [
        tf.layers.flatten({ inputShape: [8, 8, 1] }),
        new Keeper({}),
        tf.layers.dense({ units: 4 }),
        tf.layers.batchNormalization(),
        tf.layers.dense({ units: 10 }),
      ],
    });
  const context = await alone(engine, build, { batchSize: 8, shards: 2 }, syntheticData(24));
  const watch = new LeakWatch();
  const warnings: string[] = [];
  for (let step = 1; step <= 14; step++) {
    trainStep(context, context.sampler.plan(step));
    const warning = watch.after(tf.memory().numTensors);
    if (warning !== undefined) warnings.push(warning);
  }
  return warnings;
}

it('warns once of a layer that keeps tensors, with their number per step', async () => {
  const warnings = await warningsOf(3);
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toMatch(/keeps at least 6 more tensors in each step/);
});

it('is silent for a definition that keeps none', async () => {
  expect(await warningsOf(0)).toEqual([]);
});

it('is silent if the number of tensors grows only now and then', () => {
  const watch = new LeakWatch();
  for (let step = 1; step < 60; step++) expect(watch.after(Math.floor(step / 5))).toBeUndefined();
});
