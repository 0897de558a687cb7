import { readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Tensor, Tensor1D } from '@tensorflow/tfjs';
import type { LossFunction } from '../../src/api/objective.js';
import { decodeSafetensors } from '../../src/shared/checkpoint/safetensors.js';
import { outputLossSchema, type OutputLossInput } from '../../src/shared/config/loss-config.js';
import type { Engine, EngineChoice } from '../../src/worker/engine/engine.js';
import type { Kernels } from '../../src/worker/kernels/kernels.js';
import { PortableKernels } from '../../src/worker/kernels/portable.js';
import { TensorflowKernels } from '../../src/worker/kernels/tensorflow.js';
import { createLoss } from '../../src/worker/objective/losses.js';
import { createMetric } from '../../src/worker/objective/metrics.js';
import { engineFor } from '../support/in-process.js';

/** Made by losses.py. */
const file = new URL('./fixtures/losses.safetensors', import.meta.url);
const { tensors } = decodeSafetensors(await readFile(file), 'losses.safetensors');

const softmax = outputLossSchema.parse({ kind: 'softmaxCrossEntropy' });

describe.each<EngineChoice>(['tensorflow', 'js'])('losses of PyTorch on the engine %s', (choice) => {
  let engine: Engine;
  let kernels: Kernels;
  beforeAll(async () => {
    engine = await engineFor(choice);
    const { tf, memory } = engine;
    kernels = choice === 'js' ? new PortableKernels(tf) : new TensorflowKernels(tf, memory);
  });
  const given = (name: string): Tensor => {
    const { values, shape } = tensors.get(name)!;
    return engine.tf.tensor(values, [...shape], values instanceof Int32Array ? 'int32' : 'float32');
  };
  const compare = (name: string, input: OutputLossInput, custom?: LossFunction): void => {
    const before = engine.tf.memory().numTensors;
    engine.tf.tidy(() => {
      const loss = createLoss(engine.tf, kernels, outputLossSchema.parse(input), custom);
      const { sum, gradient } = loss(given(`${name}_x`), given(`${name}_target`));
      const expected = tensors.get(`${name}_gradient`)!;
      expect(sum / tensors.get(`${name}_sum`)!.values[0]!).toBeCloseTo(1, 6);
      expect(gradient.shape).toEqual(expected.shape);
      for (const [i, value] of gradient.dataSync().entries())
        expect(Math.abs(value - expected.values[i]!), `element ${i}`).toBeLessThan(1e-6);
    });
    expect(engine.tf.memory().numTensors).toBe(before);
  };

  it.each<[string, OutputLossInput]>([
    ['smoothed', { kind: 'softmaxCrossEntropy', labelSmoothing: 0.1 }],
    ['places', { kind: 'softmaxCrossEntropy' }],
    ['binary', { kind: 'binaryCrossEntropy' }],
    ['squared', { kind: 'meanSquaredError' }],
    ['absolute', { kind: 'meanAbsoluteError' }],
    ['huber', { kind: 'huber', delta: 1.5 }],
  ])('%s', compare);

  it('a loss function of the user is differentiated as in PyTorch', () => {
    compare('squared', { kind: 'custom' }, ({ tf, prediction, target }) =>
      tf.mean<Tensor1D>(tf.square(tf.sub(prediction, target)), 1),
    );
  });

  it('a function that mixes samples or draws random numbers is refused', () => {
    const { tf } = engine;
    const run = (custom: LossFunction) => () =>
      tf.tidy(() => {
        const loss = createLoss(tf, kernels, outputLossSchema.parse({ kind: 'custom' }), custom);
        loss(given('squared_x'), given('squared_target'));
      });
    expect(run(({ prediction }) => tf.mean(prediction))).toThrow(/one value for each of 7 samples/);
    expect(run(({ prediction }) => tf.sum<Tensor1D>(prediction.mul(tf.randomNormal([7, 4])), 1))).toThrow(
      /draws random numbers/,
    );
  });

  it("accuracy and top-k accuracy equal PyTorch's", () => {
    engine.tf.tidy(() => {
      const [x, target] = [given('metric_x'), given('metric_target')];
      const count = (name: string): number => tensors.get(name)!.values[0]!;
      const measure = (config: Parameters<typeof createMetric>[1]): number =>
        createMetric(engine.tf, config, softmax, undefined)(x, target);
      expect(measure({ kind: 'accuracy' })).toBe(count('metric_top1'));
      expect(measure({ kind: 'topK', k: 1 })).toBe(count('metric_top1'));
      expect(measure({ kind: 'topK', k: 3 })).toBe(count('metric_top3'));
      expect(count('metric_top3')).toBeGreaterThan(count('metric_top1'));
    });
  });
});
