/**
 * Compares a plain tfjs training step (model.apply with automatic differentiation, tf.train.adam) with Lockstep's, in one process,
 * alternating on the same batches and threads: `npm run bench:step -- [batch] [threads] [rounds]`.
 */
import os from 'node:os';
import type { Tensor2D } from '@tensorflow/tfjs-core';
import convnet from '../examples/mnist/lockstep.config.js';
import { loadMnist } from '../src/shared/data/dataset.js';
import { imageData } from '../src/shared/data/training-data.js';
import { median } from '../src/shared/arithmetic/quantile.js';
import { engineHost } from '../src/worker/engine/cache.js';
import { engineEnvironment } from '../src/worker/engine/environment.js';
import { loadEngine } from '../src/worker/engine/load.js';
import { buildModel } from '../src/worker/training/build-model.js';
import { trainStep } from '../src/worker/training/train-step.js';
import { alone, batchOf } from '../test/support/in-process.js';

const [batchSize = 64, threads = 2, rounds = 5] = process.argv.slice(2).map(Number);
const stepsPerRound = 10;

Object.assign(process.env, engineEnvironment({ threads, device: 'cpu' }));
const host = engineHost(process.env, os.homedir());
const engine = await loadEngine({ choice: 'tensorflow', threads, device: 'cpu', host, warn: console.warn });
const { tf } = engine;
const data = imageData(await loadMnist(), { mean: 0.5, std: 0.5 });
const lockstep = await alone(engine, convnet.model, { batchSize, shards: 1, threads }, data);
const plainModel = await buildModel(engine, { seed: 1 }, convnet);
const optimizer = tf.train.adam(0.001, 0.9, 0.999, 1e-8);
const { sampler } = lockstep;

function plainStep(step: number): number {
  const { inputs, labels, shape } = batchOf(lockstep, sampler.plan(step));
  return tf.tidy(() => {
    const loss = optimizer.minimize(() => {
      const logits = plainModel.apply(tf.tensor(inputs, shape), { training: true }) as Tensor2D;
      return tf.losses.softmaxCrossEntropy(tf.oneHot(tf.tensor1d(labels, 'int32'), 10), logits);
    }, true);
    return loss?.dataSync()[0] ?? Number.NaN;
  });
}

let step = 0;
function timed(run: (step: number) => unknown): number {
  const startedMs = performance.now();
  for (let i = 0; i < stepsPerRound; i++) run(++step);
  return (performance.now() - startedMs) / stepsPerRound;
}
const lockstepStep = (number: number): unknown => trainStep(lockstep, sampler.plan(number));
timed(plainStep);
timed(lockstepStep);
const times = Array.from({ length: rounds }, () => ({
  plain: timed(plainStep),
  lockstep: timed(lockstepStep),
}));
const result = {
  engine: engine.describe(),
  batchSize,
  plainMs: median(times.map(({ plain }) => plain)),
  lockstepMs: median(times.map(({ lockstep }) => lockstep)),
  ratio: median(times.map(({ plain, lockstep }) => plain / lockstep)),
};
console.log(JSON.stringify(result, undefined, 2));
process.exit();
