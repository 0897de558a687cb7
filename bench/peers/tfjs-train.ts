/**
 * Trains the model of a definition with plain tfjs-node: `model.apply` on the gradient tape and `tf.train.adam`, in this process, without
 * any kernel of Lockstep's. Prints one line of JSON with the median rate in samples per second.
 */
import os from 'node:os';
import { parseArgs } from 'node:util';
import type { Tensor, TensorContainer } from '@tensorflow/tfjs-core';
import { loadDefinition } from '../../src/api/load-definition.js';
import { median } from '../../src/shared/arithmetic/quantile.js';
import { loadMnist } from '../../src/shared/data/dataset.js';
import { imageData, type TensorSpec, type TensorValues } from '../../src/shared/data/training-data.js';
import { engineHost } from '../../src/worker/engine/cache.js';
import { engineEnvironment } from '../../src/worker/engine/environment.js';
import { loadEngine } from '../../src/worker/engine/load.js';
import { buildModel } from '../../src/worker/training/build-model.js';

const { values: given } = parseArgs({
  options: {
    config: { type: 'string' },
    threads: { type: 'string' },
    batch: { type: 'string' },
    steps: { type: 'string' },
    'warm-up': { type: 'string' },
  },
});
const [threads, batch, steps, warmUp] = [given.threads, given.batch, given.steps, given['warm-up']].map(
  Number,
) as [number, number, number, number];

Object.assign(process.env, engineEnvironment({ threads, device: 'cpu' }));
const host = engineHost(process.env, os.homedir());
const engine = await loadEngine({ choice: 'tensorflow', threads, device: 'cpu', host, warn: console.warn });
const { tf } = engine;
const definition = await loadDefinition(given.config ?? '');
const data = definition.source
  ? await definition.source.load()
  : imageData(await loadMnist(), { mean: 0.5, std: 0.5 });
const model = await buildModel(engine, { seed: 1 }, definition);
const optimizer = tf.train.adam(0.001, 0.9, 0.999, 1e-8);

const sizeOf = ({ shape }: TensorSpec): number => shape.reduce((product, length) => product * length, batch);
const bufferFor = (spec: TensorSpec): TensorValues =>
  spec.dtype === 'int32' ? new Int32Array(sizeOf(spec)) : new Float32Array(sizeOf(spec));
const { train } = data;
const [inputSpec, targetSpec] = [train.inputs[0] as TensorSpec, train.targets[0] as TensorSpec];
const [input, target] = [bufferFor(inputSpec), bufferFor(targetSpec)];

/** Class numbers have the cross-entropy of a softmax; other targets that of a sigmoid per value. */
function lossOf(outputs: Tensor): Tensor {
  const targets = tf.tensor(target, [batch, ...targetSpec.shape], targetSpec.dtype);
  if (targetSpec.dtype === 'float32') return tf.losses.sigmoidCrossEntropy(targets, outputs);
  const labels = tf.oneHot(targets, outputs.shape.at(-1) ?? 0);
  return tf.losses.softmaxCrossEntropy(labels, outputs);
}

async function step(number: number): Promise<number> {
  const indices = Int32Array.from({ length: batch }, (_, i) => (number * batch + i) % train.count);
  const startedMs = performance.now();
  await train.fill(indices, { inputs: [input], targets: [target] });
  tf.tidy((): TensorContainer => {
    const x = tf.tensor(input, [batch, ...inputSpec.shape]);
    const loss = optimizer.minimize(
      () => lossOf(model.apply(x, { training: true }) as Tensor).asScalar(),
      true,
    );
    loss?.dataSync();
  });
  return (performance.now() - startedMs) / 1_000;
}

const seconds: number[] = [];
for (let number = 0; number < steps; number++) seconds.push(await step(number));
const imagesPerSecond = batch / median(seconds.slice(warmUp));
console.log(JSON.stringify({ imagesPerSecond, version: `tfjs ${tf.version_core}` }));
process.exit();
