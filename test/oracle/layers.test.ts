import { readFile } from 'node:fs/promises';
import { allocatePinned } from '../../src/shared/memory/pinned-vector.js';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Tensor, Tensor1D, Tensor2D, Tensor4D } from '@tensorflow/tfjs';
import { decodeSafetensors, type NamedTensor } from '../../src/shared/checkpoint/safetensors.js';
import { vectorOf } from '../../src/shared/model/named-vectors.js';
import { runConfigSchema } from '../../src/shared/config/run-config.js';
import type { Engine, EngineChoice } from '../../src/worker/engine/engine.js';
import type { CollectiveRegistrar } from '../../src/worker/communicator/communicator.js';
import { Executor } from '../../src/worker/executor/executor.js';
import { kernelsOf } from '../../src/worker/kernels/choose.js';
import type { Kernels } from '../../src/worker/kernels/kernels.js';
import { learningRateAt } from '../../src/worker/optimizer/schedule.js';
import { engineFor } from '../support/in-process.js';

const file = new URL('./fixtures/layers.safetensors', import.meta.url);
const { tensors } = decodeSafetensors(await readFile(file), 'layers.safetensors');

function fixture(name: string): NamedTensor {
  const found = tensors.get(name);
  if (!found) throw new Error(`no ${name} in the fixture`);
  return found;
}

/** Norm of the difference by the norm of what is expected. */
function error(got: ArrayLike<number>, name: string): number {
  const expected = fixture(name).values;
  expect(got.length, name).toBe(expected.length);
  const norm = (values: number[]): number => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
  return norm(Array.from(got, (value, i) => value - (expected[i] ?? 0))) / norm(Array.from(expected));
}

/** The communicator of a model that communicates nothing. */
const alone: CollectiveRegistrar = {
  allocate: () => new Float64Array(0) as never,
  register: () => ({}) as never,
  tick: () => undefined,
};

/** float32 has 6e-8 a rounding, and the longest sum here has 288 terms of random sign: 17 roundings of a norm. */
const bound = 1e-6;

describe.each<EngineChoice>(['tensorflow', 'wasm', 'js'])(
  'PyTorch, layer by layer, on the engine %s',
  (choice) => {
    let engine: Engine;
    let kernels: Kernels;
    beforeAll(async () => {
      engine = await engineFor(choice);
      kernels = kernelsOf(engine);
    });
    const given = <T extends Tensor>(name: string): T => {
      const { values, shape } = fixture(name);
      const type = name.endsWith('labels') ? 'int32' : 'float32';
      return engine.tf.tensor(values, [...shape], type) as T;
    };
    const near = (tensor: Tensor, name: string): void =>
      expect(error(tensor.dataSync(), name), name).toBeLessThan(bound);

    it('Conv2d has the output and gradients of PyTorch', () => {
      const [x, k, dy] = [given<Tensor4D>('conv_x'), given<Tensor4D>('conv_k'), given<Tensor4D>('conv_dy')];
      const window = { strides: [1, 1], padding: 'same', dilations: [1, 1] } as never;
      near(kernels.conv2d(x, k, window), 'conv_y');
      near(kernels.conv2dInputGradient(x.shape, k, dy, window), 'conv_gx');
      near(kernels.conv2dFilterGradient(x, k.shape, dy, window), 'conv_gk');
    });

    it('ConvTranspose2d layers have the output and gradients of PyTorch', () => {
      const { tf } = engine;
      const options = [
        { filters: 6, kernelSize: [2, 2], strides: [2, 2], activation: 'relu', inputShape: [4, 3, 5] },
        { filters: 4, kernelSize: [3, 3], strides: [2, 2] },
        { filters: 2, kernelSize: [3, 1], strides: [1, 2] },
      ] as const;
      const model = tf.sequential({
        layers: options.map((option) => tf.layers.conv2dTranspose(option as never)),
      });
      model.setWeights([0, 1, 2].flatMap((i) => [given(`transposed${i}_k`), given(`transposed${i}_b`)]));
      const gradients: Record<number, ArrayLike<number>> = {};
      const executor = new Executor({ tf, kernels, model, communicator: alone, seed: 1 });
      const step = {
        training: true,
        step: 1,
        shards: [{ local: 0, start: 0, count: 2 }],
        gradient: (weight: number, _: unknown, value: unknown) =>
          void (gradients[weight] = (value as Tensor).dataSync()),
      };
      tf.tidy(() =>
        executor.train(step, [[given('transposed_x')]], (outputs) => {
          near(outputs[0]?.[0] as Tensor, 'transposed_y');
          return [[given('transposed_dy')]];
        }),
      );
      // The longest sum has 988 terms: 31 roundings of a norm.
      for (const i of [0, 1, 2]) {
        expect(error(gradients[2 * i] ?? [], `transposed${i}_gk`), `kernel ${i}`).toBeLessThan(2 * bound);
        expect(error(gradients[2 * i + 1] ?? [], `transposed${i}_gb`), `bias ${i}`).toBeLessThan(2 * bound);
      }
      model.dispose();
    });

    it('MaxPool2d has the output and gradients of PyTorch, with ties', () => {
      const window = { size: [2, 2], strides: [2, 2], padding: 'valid' } as never;
      const { y, gradient } = kernels.maxPool(given<Tensor4D>('pool_x'), window);
      expect([...y.dataSync()]).toEqual([...fixture('pool_y').values]);
      near(gradient(given<Tensor4D>('pool_dy')), 'pool_gx');
    });

    it('ReLU has the output and gradients of PyTorch, also at zero', () => {
      const y = kernels.relu(given('relu_x'));
      near(y, 'relu_y');
      near(kernels.reluGradient(given('relu_dy'), y), 'relu_gx');
    });

    it.each(['norm', 'thin'])('LayerNorm has the output and gradients of PyTorch: %s', (name) => {
      const [gamma, beta] = [given<Tensor1D>(`${name}_g`), given<Tensor1D>(`${name}_b`)];
      const pass = kernels.layerNorm(given(`${name}_x`), { gamma, beta, epsilon: 1e-3 });
      const { dx, dGamma, dBeta } = pass.gradients(given(`${name}_dy`));
      // The inputs are six deviations from 0, so float32 loses three bits of what is left of them.
      const close = (tensor: Tensor, part: string): void =>
        expect(error(tensor.dataSync(), `${name}_${part}`), part).toBeLessThan(8 * bound);
      close(pass.y, 'y');
      close(dx, 'gx');
      close(dGamma, 'gg');
      near(dBeta, `${name}_gb`);
    });

    it('Linear has the output and gradients of PyTorch', () => {
      const [x, k, dy] = [
        given<Tensor2D>('linear_x'),
        given<Tensor2D>('linear_k'),
        given<Tensor2D>('linear_dy'),
      ];
      near(kernels.biasAdd(kernels.matMul(x, k, false, false), given<Tensor1D>('linear_b')), 'linear_y');
      near(kernels.matMul(dy, k, false, true), 'linear_gx');
      near(kernels.matMul(x, dy, true, false), 'linear_gk');
      near(kernels.columnSums(dy), 'linear_gb');
    });

    it('cross-entropy has the value and gradients of PyTorch, also for equal and large logits', () => {
      const labels = given<Tensor1D>('entropy_labels');
      const { losses, gradient } = kernels.softmaxCrossEntropy(given<Tensor2D>('entropy_x'), labels);
      near(losses, 'entropy_y');
      near(gradient, 'entropy_gx');
    });

    it('BatchNorm has the batch statistics of PyTorch, and its running statistics over five steps', () => {
      const rows = given<Tensor2D>('bn_rows');
      const running = { mean: new Float32Array(16), variance: new Float32Array(16).fill(1) };
      for (const part of engine.tf.split(rows, [64, 64, 64, 64, 32])) {
        const { mean, m2 } = kernels.moments(part);
        for (let c = 0; c < 16; c++) {
          running.mean[c] = 0.9 * (running.mean[c] ?? 0) + 0.1 * (mean[c] ?? 0);
          const unbiased = (m2[c] ?? 0) / (part.shape[0] - 1);
          running.variance[c] = 0.9 * (running.variance[c] ?? 0) + 0.1 * unbiased;
        }
      }
      expect(error(running.mean, 'bn_mean')).toBeLessThan(bound);
      // The mean is seven deviations from 0, so a variance by E[x^2] - E[x]^2 would lose two digits here.
      expect(error(running.variance, 'bn_variance')).toBeLessThan(bound);
    });

    it('Adam has the weights of PyTorch over 200 steps, also for gradients smaller than epsilon', () => {
      const start = fixture('adam_start').values as Float32Array;
      const all = fixture('adam_gradients').values;
      const adam = kernels.adam(start, [start.length], 0.9, 0.999);
      const gradient = allocatePinned(start.length);
      for (let step = 1; step <= 200; step++) {
        gradient.set(all.subarray((step - 1) * start.length, step * start.length));
        const correction = Math.sqrt(1 - 0.999 ** step);
        engine.tf.dispose(
          adam.apply(gradient, { stepSize: 1e-3 / (1 - 0.9 ** step), correction, epsilon: 1e-8 }),
        );
        if (![1, 10, 100, 200].includes(step)) continue;
        const expected = fixture(`adam_p${step}`).values;
        // float32 parameters of size 1 to 3 round by 1.2e-7 a step, and roundings add up like a random walk.
        const most = 2.4e-7 * Math.sqrt(step) + 1e-7;
        for (const [i, value] of vectorOf(adam.read(), 'weights').entries())
          expect(Math.abs(value - (expected[i] ?? 0)), `step ${step}, element ${i}`).toBeLessThan(most);
      }
      adam.dispose();
    });
  },
);

it('StepLR has the learning rates of PyTorch before and after each of its steps', () => {
  const config = runConfigSchema.parse({ schedule: { kind: 'step', stepSize: 6, gamma: 0.1 } });
  for (const [epoch, rate] of fixture('steplr').values.entries()) {
    const ours = learningRateAt(config, { step: epoch + 1, epoch, stepsPerEpoch: 1 }, 0);
    expect(Math.abs(ours - rate) / rate, `epoch ${epoch}`).toBeLessThan(1e-12);
  }
});
