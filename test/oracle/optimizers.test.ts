import { readFile } from 'node:fs/promises';
import type * as tfjs from '@tensorflow/tfjs';
import type { Optimizer } from '@tensorflow/tfjs';
import { mergeConfig } from '../../src/cli/options/resolve.js';
import { allocatePinned } from '../../src/shared/memory/pinned-vector.js';
import { describe, expect, it } from 'vitest';
import { decodeSafetensors } from '../../src/shared/checkpoint/safetensors.js';
import { vectorOf } from '../../src/shared/model/named-vectors.js';
import {
  runConfigSchema,
  type OptimizerConfig,
  type RunConfigInput,
} from '../../src/shared/config/run-config.js';
import { hashEach } from '../../src/shared/ledger/hash.js';
import type { EngineChoice } from '../../src/worker/engine/engine.js';
import { PortableKernels } from '../../src/worker/kernels/portable.js';
import { TensorflowKernels } from '../../src/worker/kernels/tensorflow.js';
import { clipNorm } from '../../src/worker/optimizer/clip.js';
import {
  initialSchedulerState,
  onEvaluation,
  reducedRate,
} from '../../src/worker/optimizer/evaluation-decisions.js';
import { learningRateAt } from '../../src/worker/optimizer/schedule.js';
import { createRule } from '../../src/worker/optimizer/create-rule.js';
import { optimizerVectors } from '../../src/shared/model/optimizer-vectors.js';
import { WeightAverage } from '../../src/worker/optimizer/weight-average.js';
import { engineFor } from '../support/in-process.js';

/** Made by optimizers.py. */
const file = new URL('./fixtures/optimizers.safetensors', import.meta.url);
const { tensors } = decodeSafetensors(await readFile(file), 'optimizers.safetensors');
const values = (name: string): number[] => Array.from(tensors.get(name)?.values ?? []);

const parameters = [
  { weight: 0, shape: [6, 8], offset: 0, size: 48 },
  { weight: 1, shape: [12], offset: 48, size: 12 },
];
const start = Float32Array.from(values('start'));
const gradients = Array.from({ length: 100 }, (_, step) =>
  Float32Array.from(values('gradients').slice(step * 60, (step + 1) * 60)),
);
const learningRate = 0.01;
const parse = (optimizer: RunConfigInput['optimizer']): OptimizerConfig =>
  runConfigSchema.parse({ optimizer }).optimizer;

/** float32 parameters of size 1 to 3 round by 1.2e-7 a step, and roundings add up like a random walk. */
const most = (step: number): number => 2.4e-7 * Math.sqrt(step) + 1e-7;
const near = (got: ArrayLike<number>, name: string, step: number): void => {
  const expected = values(name);
  expect(got.length).toBe(expected.length);
  for (const [i, value] of expected.entries())
    expect(Math.abs((got[i] ?? 0) - value), `${name}, element ${i}`).toBeLessThan(most(step));
};

describe.each<EngineChoice>(['js', 'tensorflow'])(
  'PyTorch, optimizer by optimizer, on the engine %s',
  (choice) => {
    it.each<[string, RunConfigInput['optimizer']]>([
      ['adam', { kind: 'adam', learningRate }],
      ['adam_l2', { kind: 'adam', learningRate, weightDecay: 0.1 }],
      ['adamw', { kind: 'adamw', learningRate, weightDecay: 0.1 }],
      ['rmsprop', { kind: 'rmsprop', learningRate }],
      [
        'rmsprop_all',
        { kind: 'rmsprop', learningRate, decay: 0.9, momentum: 0.5, centered: true, weightDecay: 0.01 },
      ],
      ['adagrad', { kind: 'adagrad', learningRate }],
      ['adagrad_from', { kind: 'adagrad', learningRate, initialAccumulatorValue: 0.1, weightDecay: 0.01 }],
      ['adadelta', { kind: 'adadelta', learningRate }],
      ['adamax', { kind: 'adamax', learningRate, weightDecay: 0.01 }],
      ['sgd', { kind: 'sgd', learningRate }],
      ['momentum', { kind: 'sgd', learningRate, momentum: 0.9, dampening: 0.1 }],
      [
        'nesterov',
        {
          kind: 'sgd',
          learningRate,
          momentum: 0.9,
          nesterov: true,
          weightDecay: 0.01,
          weightDecayOf: 'kernels',
        },
      ],
    ])('%s, and goes on from its saved state', async (name, input) => {
      const { tf, memory } = await engineFor(choice);
      const kernels = choice === 'js' ? new PortableKernels(tf) : new TensorflowKernels(tf, memory);
      const config = parse(input);
      const rule = createRule(tf, kernels, config, parameters, start);
      const other = createRule(tf, kernels, config, parameters, new Float32Array(60));
      const [gradient, hashes, expectedHashes] = [allocatePinned(60), new Uint8Array(16), new Uint8Array(16)];
      const before = tf.memory().numTensors;
      for (const [i, given] of gradients.entries()) {
        if (name === 'adamw') clipNorm(given, 3, gradient);
        else gradient.set(given);
        const updated = rule.apply(gradient, i + 1, learningRate, hashes);
        hashEach(
          updated.map((tensor) => tensor.dataSync<'float32'>()),
          expectedHashes,
        );
        expect(hashes).toEqual(expectedHashes);
        tf.dispose(updated);
        if (i + 1 === 10) other.write(rule.read());
        if (i + 1 > 10) tf.dispose(other.apply(gradient, i + 1, learningRate));
        if ([1, 10, 100].includes(i + 1)) near(vectorOf(rule.read(), 'weights'), `${name}_${i + 1}`, i + 1);
      }
      expect(tf.memory().numTensors).toBe(before);
      expect([...rule.read().keys()]).toEqual(optimizerVectors(config));
      expect(other.read()).toEqual(rule.read());
      rule.dispose();
      other.dispose();
    });
  },
);

describe("tfjs's own optimizers, for 100 steps", () => {
  type Train = (typeof tfjs)['train'];
  it.each<[string, (train: Train) => Optimizer, RunConfigInput['optimizer']]>([
    ['rmsprop', (train) => train.rmsprop(0.01), { kind: 'rmsprop', learningRate: 0.01 }],
    [
      'rmsprop with momentum',
      (train) => train.rmsprop(0.01, 0.8, 0.5, 1e-4),
      { kind: 'rmsprop', learningRate: 0.01, decay: 0.8, momentum: 0.5, epsilon: 1e-4 },
    ],
    [
      'centered rmsprop',
      (train) => train.rmsprop(0.01, 0.9, 0.5, 1e-9, true),
      { kind: 'rmsprop', learningRate: 0.01, momentum: 0.5, epsilon: 1e-9, centered: true },
    ],
    ['adagrad', (train) => train.adagrad(0.01), 'adagrad'],
    ['adadelta', (train) => train.adadelta(0.1), { kind: 'adadelta', learningRate: 0.1 }],
    ['adamax', (train) => train.adamax(0.01), { kind: 'adamax', learningRate: 0.01 }],
  ])('%s', async (_, make, input) => {
    const { tf } = await engineFor('js');
    const { optimizer: config } = mergeConfig([
      { source: 'test', values: { arithmetic: 'tfjs', optimizer: input } },
    ]);
    const rule = createRule(tf, new PortableKernels(tf), config, parameters, start);
    const optimizer = make(tf.train);
    const variable = tf.variable(tf.tensor1d(start), true, 'p');
    const gradient = allocatePinned(60);
    for (const [i, given] of gradients.entries()) {
      gradient.set(given);
      tf.dispose(rule.apply(gradient, i + 1, config.learningRate));
      tf.tidy(() => optimizer.applyGradients({ p: tf.tensor1d(given) }));
    }
    const [got, expected] = [vectorOf(rule.read(), 'weights'), variable.dataSync<'float32'>()];
    // tfjs rounds each operation to float32.
    for (const [i, value] of expected.entries()) expect(Math.abs((got[i] ?? 0) - value)).toBeLessThan(5e-5);
    expect(Math.max(...got.map((value, i) => Math.abs(value - (start[i] ?? 0))))).toBeGreaterThan(0.02);
    rule.dispose();
    tf.dispose(variable);
    optimizer.dispose();
  });
});

it('the gradient is clipped by its norm over all parameters, and the original is not changed', () => {
  const target = new Float32Array(60);
  for (const [i, expected] of values('norms').entries()) {
    const gradient = gradients[i]!;
    const copy = gradient.slice();
    expect(clipNorm(gradient, 3, target) / expected).toBeCloseTo(1, 12);
    expect(gradient).toEqual(copy);
    if (expected < 2.9) expect(target).toEqual(gradient);
    else if (expected > 3) expect(Math.hypot(...target)).toBeCloseTo(3, 4);
  }
});

it("the moving average of the weights equals PyTorch's", () => {
  const average = new WeightAverage({ decay: 0.9, warmup: false }, start.slice(), new Float32Array(1));
  const p = Float32Array.from(start);
  for (const [i, gradient] of gradients.entries()) {
    for (let e = 0; e < 60; e++) p[e] = p[e]! - learningRate * gradient[e]!;
    average.add(i + 1, 0, p);
  }
  near(average.weights, 'average', 100);
});

describe('schedules of PyTorch', () => {
  const stepsPerEpoch = 7;
  const warmup = (steps: number) => ({ steps, from: 0.1 });
  it.each<[string, RunConfigInput]>([
    ['cosine', { schedule: { kind: 'cosine', minimum: 0.001 } }],
    ['onecycle', { schedule: { kind: 'oneCycle' } }],
    [
      'onecycle_linear',
      { schedule: { kind: 'oneCycle', rise: 0.4, anneal: 'linear', startDivisor: 10, endDivisor: 100 } },
    ],
    ['warmup_constant', { schedule: { kind: 'constant' }, warmup: warmup(10) }],
    ['warmup_cosine', { schedule: { kind: 'cosine' }, warmup: { epochs: 2, from: 0.1 } }],
  ])('%s', (name, input) => {
    const config = runConfigSchema.parse({
      epochs: 9,
      optimizer: { kind: 'sgd', learningRate: 0.02 },
      ...input,
    });
    for (const [done, expected] of values(name).entries()) {
      const place = { step: done + 1, epoch: Math.floor(done / stepsPerEpoch), stepsPerEpoch };
      expect(Math.abs(learningRateAt(config, place, 0) - expected), `step ${done + 1}`).toBeLessThan(1e-14);
    }
  });

  it("the plateau schedule equals PyTorch's and counts each evaluation once", () => {
    const config = runConfigSchema.parse({
      optimizer: { kind: 'sgd', learningRate: 0.02 },
      schedule: { kind: 'plateau', factor: 0.5, patience: 1, cooldown: 2, minimum: 0.003 },
    });
    const numbers = initialSchedulerState(config);
    const expected = values('plateau');
    expect(new Set(expected).size).toBeGreaterThan(2);
    for (const [i, loss] of values('plateau_losses').entries()) {
      onEvaluation(config, numbers, i + 1, { loss });
      // As after a generation that ended before all had judged.
      onEvaluation(config, numbers, i + 1, { loss });
      expect(reducedRate(numbers), `evaluation ${i + 1}`).toBeCloseTo(expected[i]!, 12);
    }
  });
});
