import { describe, expect, it } from 'vitest';
import { allocatePinned } from '../../src/shared/memory/pinned-vector.js';
import { hashEach, hashFloats } from '../../src/shared/ledger/hash.js';
import { vectorOf } from '../../src/shared/model/named-vectors.js';
import { kernelsOf } from '../../src/worker/kernels/choose.js';
import { TensorflowKernels } from '../../src/worker/kernels/tensorflow.js';
import { engineFor } from '../support/in-process.js';
import { missingGpu } from '../support/software-gpu.js';

const [beta1, beta2, epsilon] = [0.9, 0.999, 1e-8];

/** PyTorch's formulas (torch/optim/adam.py, single tensor) in float64. */
function reference(
  initial: Float32Array,
  gradients: (step: number) => Float32Array,
  steps: number,
  lr: number,
): number[] {
  const p = Array.from(initial);
  const [m, v] = [p.map(() => 0), p.map(() => 0)];
  for (let step = 1; step <= steps; step++) {
    gradients(step).forEach((g, i) => {
      m[i] = beta1 * m[i]! + (1 - beta1) * g;
      v[i] = beta2 * v[i]! + (1 - beta2) * g * g;
      const denominator = Math.sqrt(v[i]) / Math.sqrt(1 - beta2 ** step) + epsilon;
      p[i] = p[i]! - ((lr / (1 - beta1 ** step)) * m[i]) / denominator;
    });
  }
  return p;
}

const size = 1003;
const sizes = [1000, 3];
const initial = Float32Array.from({ length: size }, (_, i) => Math.sin(i));
/** Magnitudes from 1 down to 1e-10, where epsilon dominates. */
const gradients = (step: number): Float32Array =>
  Float32Array.from({ length: size }, (_, i) => Math.cos(i * 7 + step) * 10 ** -(i % 11));

const implementations = (
  [
    ['js', true],
    ['wasm', true],
    ['tensorflow', true],
    ['tensorflow', false],
    ['webgpu', true],
  ] as const
).filter(([choice]) => choice !== 'webgpu' || missingGpu === undefined);

describe.each(implementations)('Adam and its gradient on the engine %s, own ops: %s', (choice, ownOps) => {
  it('agrees with PyTorch over 200 steps, including tiny gradients, and restores its state', async () => {
    const engine = await engineFor(choice);
    const kernels = ownOps
      ? kernelsOf(engine)
      : new TensorflowKernels(engine.tf, undefined, 'float32', false);
    const adam = kernels.adam(initial, sizes, beta1, beta2);
    const restored = kernels.adam(new Float32Array(size), sizes, beta1, beta2);
    const gradient = allocatePinned(size);
    const [hashes, expectedHashes] = [new Uint8Array(16), new Uint8Array(16)];
    const last: number[] = [];
    const before = engine.tf.memory().numTensors;
    for (let step = 1; step <= 200; step++) {
      const update = {
        stepSize: 1e-3 / (1 - beta1 ** step),
        correction: Math.sqrt(1 - beta2 ** step),
        epsilon,
      };
      gradient.set(gradients(step));
      const updated = adam.apply(gradient, update, step > 100 ? hashes : undefined);
      if (step === 200) {
        const values = updated.map((tensor) => tensor.dataSync<'float32'>());
        last.push(...values.flatMap((part) => [...part]));
        hashEach(values, expectedHashes);
      }
      engine.tf.dispose(updated);
      if (step === 100) restored.write(adam.read());
      if (step > 100) engine.tf.dispose(restored.apply(gradient, update));
    }
    expect(engine.tf.memory().numTensors).toBe(before);
    const expected = reference(initial, gradients, 200, 1e-3);
    const weights = vectorOf(adam.read(), 'weights');
    expect(last).toEqual([...weights]);
    expect(hashes).toEqual(expectedHashes);
    // A step moves a parameter by about the learning rate, so errors are measured relative to the total distance.
    weights.forEach((value, i) =>
      expect(Math.abs(value - expected[i]!)).toBeLessThan(2e-6 + 1e-5 * Math.abs(expected[i]! - initial[i]!)),
    );
    expect(restored.read()).toEqual(adam.read());
    adam.dispose();
    restored.dispose();
  });

  it('hashes a gradient while it copies it', async () => {
    const engine = await engineFor(choice);
    const { tf } = engine;
    const kernels = ownOps
      ? kernelsOf(engine)
      : new TensorflowKernels(engine.tf, undefined, 'float32', false);
    // Less than one block, one block, and several blocks with a remainder.
    for (const count of [1, 63, 1024, 5000]) {
      const value = tf.tensor1d(Float32Array.from({ length: count }, (_, i) => Math.sin(i)));
      const [target, hash, expected] = [allocatePinned(count), new Uint8Array(8), new Uint8Array(8)];
      kernels.store(value, target, hash);
      kernels.completeStores();
      hashFloats(value.dataSync<'float32'>(), expected);
      expect(target).toEqual(value.dataSync());
      expect(hash).toEqual(expected);
      value.dispose();
    }
  });
});
