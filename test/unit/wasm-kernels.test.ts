import type { Rank, Tensor, Tensor2D, Tensor4D } from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { exactMath, useExactMath } from '../../src/shared/arithmetic/exact-math.js';
import type { Engine } from '../../src/worker/engine/engine.js';
import { identityOf } from '../../src/worker/engine/identity.js';
import { kernelsOf } from '../../src/worker/kernels/choose.js';
import type { Kernels } from '../../src/worker/kernels/kernels.js';
import { PortableKernels } from '../../src/worker/kernels/portable.js';
import { engineFor } from '../support/in-process.js';

let wasm: Engine;
let kernels: Kernels;
/** tfjs's JavaScript kernels, the reference. */
let reference: Kernels;
beforeAll(async () => {
  wasm = await engineFor('wasm');
  kernels = kernelsOf(wasm);
  reference = new PortableKernels(wasm.tf);
});

type Shape = [number, number, number, number];

const values = (count: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => ((i * 7919) % 1009) / 1009 - 0.5);

/** Runs the same call with both, each on its own backend, and returns the values of both results. */
function both(
  shapes: readonly (readonly number[])[],
  call: (by: Kernels, tensors: Tensor[]) => Tensor,
): [Float32Array, Float32Array] {
  const { tf } = wasm;
  const run = (backend: string, by: Kernels): Float32Array => {
    // This only changes the backend on which tensors are created; the backends' caches remain.
    expect(tf.engine().backendName).toBe('wasm');
    void tf.setBackend(backend);
    try {
      return tf.tidy(() => {
        const tensors = shapes.map((shape) =>
          tf.tensor(values(shape.reduce((a, b) => a * b, 1)), [...shape]),
        );
        return call(by, tensors).dataSync<'float32'>().slice();
      });
    } finally {
      void tf.setBackend('wasm');
    }
  };
  return [run('wasm', kernels), run('cpu', reference)];
}

function expectClose([found, expected]: [Float32Array, Float32Array]): void {
  expect(found.length).toBe(expected.length);
  const scale = Math.max(...expected.map(Math.abs));
  const distance = Math.max(...found.map((value, i) => Math.abs(value - (expected[i] ?? 0))));
  expect(distance).toBeLessThan(1e-6 * scale * 10);
}

describe('WebAssembly kernels', () => {
  it.each([
    { size: [7, 6], kernel: [3, 3], channels: [1, 8], strides: [1, 1], padding: 'same', dilations: [1, 1] },
    { size: [7, 6], kernel: [3, 3], channels: [3, 5], strides: [2, 1], padding: 'same', dilations: [1, 1] },
    { size: [9, 8], kernel: [3, 2], channels: [4, 13], strides: [1, 1], padding: 'valid', dilations: [1, 1] },
    { size: [9, 8], kernel: [2, 3], channels: [2, 9], strides: [2, 3], padding: 'valid', dilations: [1, 1] },
    { size: [5, 5], kernel: [1, 1], channels: [6, 7], strides: [3, 3], padding: 'same', dilations: [1, 1] },
  ] as const)(
    'match tfjs for a convolution and its gradients: %o',
    ({ size, kernel, channels, strides, padding, dilations }) => {
      const window = { strides, padding, dilations };
      const x = [3, ...size, channels[0]];
      const filter = [...kernel, ...channels];
      expectClose(both([x, filter], (by, [a, b]) => by.conv2d(a as Tensor4D, b as Tensor4D, window)));
      const { shape } = wasm.tf.tidy(() =>
        kernels.conv2d(wasm.tf.zeros<Rank.R4>(x as Shape), wasm.tf.zeros<Rank.R4>(filter as Shape), window),
      );
      expectClose(
        both([x, shape], (by, [a, dy]) =>
          by.conv2dFilterGradient(a as Tensor4D, filter, dy as Tensor4D, window),
        ),
      );
      expectClose(
        both([filter, shape], (by, [b, dy]) =>
          by.conv2dInputGradient(x, b as Tensor4D, dy as Tensor4D, window),
        ),
      );
    },
  );

  it('match tfjs for a dilated convolution', () => {
    const window = { strides: [1, 1], padding: 'same', dilations: [2, 2] } as const;
    expectClose(
      both(
        [
          [2, 7, 8, 3],
          [3, 3, 3, 5],
        ],
        (by, [a, b]) => by.conv2d(a as Tensor4D, b as Tensor4D, window),
      ),
    );
  });

  it.each([
    [5, 7, 3],
    [64, 33, 10],
    [130, 16, 9],
    [1, 1, 1],
  ])('match tfjs for matrix products, also transposed: %i x %i x %i', (rows, inner, columns) => {
    for (const [ta, tb] of [
      [false, false],
      [true, false],
      [false, true],
      [true, true],
    ] as const) {
      const a = ta ? [inner, rows] : [rows, inner];
      const b = tb ? [columns, inner] : [inner, columns];
      expectClose(both([a, b], (by, [x, y]) => by.matMul(x as Tensor2D, y as Tensor2D, ta, tb)));
    }
  });

  it.each([
    { size: [3, 3], strides: [2, 2], padding: 'same' },
    { size: [2, 3], strides: [1, 2], padding: 'valid' },
  ] as const)('match tfjs for a max-pool without ties and its gradient: %o', (window) => {
    const x = [2, 7, 6, 3];
    expectClose(both([x], (by, [a]) => by.maxPool(a as Tensor4D, window).y));
    expectClose(
      both([x], (by, [a]) => {
        const { y, gradient } = by.maxPool(a as Tensor4D, window);
        return gradient(y);
      }),
    );
  });

  it.each([
    [true, true],
    [true, false],
    [false, true],
    [false, false],
  ])('match tfjs for a BatchNorm of 6 channels with ReLU %s and pool %s', (relu, pool) => {
    const affine = Float32Array.from({ length: 18 }, (_, i) => Math.sin(i + 1));
    const tail = { activation: relu ? 'relu' : 'linear', pool } as const;
    const x = [4, 6, 4, 6];
    expectClose(both([x], (by, [a]) => by.batchNorm(a as Tensor, affine, tail, true).y));
    const sums = (by: Kernels, [a]: Tensor[]): Tensor => {
      const pass = by.batchNorm(a as Tensor, affine, tail, true);
      const { dz, dzCentred } = pass.sums(pass.y);
      return wasm.tf.tensor1d(Float32Array.from([...dz, ...dzCentred]));
    };
    expectClose(both([x], sums));
    expectClose(
      both([x], (by, [a]) => {
        const pass = by.batchNorm(a as Tensor, affine, tail, true);
        pass.sums(pass.y);
        return pass.inputGradient(
          pass.y,
          affine.map((value) => value / 2),
        );
      }),
    );
  });

  it('generate the same random numbers as the JavaScript implementation at high counter values', () => {
    const { tf } = wasm;
    const args = [5, 8, [0xfffffff0, 1], [0xfffffffe, 4_000_000_000, 7]] as const;
    const [found, expected] = tf.tidy(() =>
      [kernels, reference].map((by) =>
        by
          .philoxUniform(...args)
          .dataSync<'float32'>()
          .slice(),
      ),
    );
    expect(found).toEqual(expected);
  });

  it('return losses and gradients of a softmax whose exponentials would overflow', () => {
    const { tf } = wasm;
    tf.tidy(() => {
      const logits = tf.tensor2d([1000, 0, -1000, 3, 3, 3], [2, 3]);
      const { losses, gradient } = kernels.softmaxCrossEntropy(logits, tf.tensor1d([1, 2], 'int32'));
      expect([...losses.dataSync()]).toEqual([1000, Math.fround(Math.log(3))]);
      expect([...gradient.dataSync()].map((value) => Number(value.toFixed(6)))).toEqual([
        1, -1, 0, 0.333333, 0.333333, -0.666667,
      ]);
    });
  });
});

describe('the WebAssembly engine', () => {
  it('has no processor in its identity, so that workers on different processors match', () => {
    const { cpu, instructions, threads, kernels: name } = identityOf(wasm, kernels.name);
    expect({ cpu, instructions, threads }).toEqual({ cpu: 'any', instructions: '', threads: '1' });
    expect(name).toMatch(/^own wasm [0-9a-f]{12}$/);
  });

  it("trains layers whose gradients tfjs's backend lacks", () => {
    const { tf } = wasm;
    const model = tf.sequential({
      layers: [
        tf.layers.conv2d({ inputShape: [6, 6, 2], filters: 3, kernelSize: 3, activation: 'elu' }),
        tf.layers.depthwiseConv2d({ kernelSize: 2, activation: 'sigmoid' }),
        tf.layers.flatten(),
        tf.layers.dense({ units: 2, activation: 'tanh' }),
      ],
    });
    const gradients = (backend: string): Float32Array[] => {
      void tf.setBackend(backend);
      try {
        const weights = model.getWeights().map((weight) => tf.tensor(values(weight.size), weight.shape));
        model.setWeights(weights);
        const x = tf.tensor(values(4 * 72), [4, 6, 6, 2]);
        const { grads } = tf.variableGrads(() => tf.sum(model.apply(x, { training: true }) as Tensor));
        return Object.values(grads).map((gradient) => gradient.dataSync<'float32'>().slice());
      } finally {
        void tf.setBackend('wasm');
      }
    };
    const [found, expected] = [gradients('wasm'), gradients('cpu')];
    expect(found).toHaveLength(6);
    found.forEach((gradient, i) => expectClose([gradient, expected[i] ?? new Float32Array(0)]));
  });
});

describe('exact arithmetic', () => {
  it('replaces implementation-defined functions with results within two units in the last place', () => {
    const before = { pow: Math.pow, exp: Math.exp, cos: Math.cos };
    const inputs = Array.from({ length: 200 }, (_, i) => (i - 100) * 0.37);
    const expected = inputs.map((x) => [before.pow(0.9, x), before.exp(x), before.cos(x)]);
    useExactMath();
    expect(Math.pow).toBe(exactMath.pow);
    inputs.forEach((x, i) => {
      [Math.pow(0.9, x), Math.exp(x), Math.cos(x)].forEach((value, j) => {
        const near = expected[i]?.[j] ?? 0;
        expect(Math.abs(value - near)).toBeLessThanOrEqual(2 * Number.EPSILON * Math.abs(near));
      });
    });
    // These values are recorded, because any other result would change every hash.
    expect([exactMath.pow(0.999, 1000), exactMath.exp(-1.5), exactMath.cos(2.5)]).toEqual([
      0.36769542477096373, 0.22313016014842982, -0.8011436155469337,
    ]);
  });
});
