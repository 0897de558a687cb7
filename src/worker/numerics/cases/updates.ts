/** The work after the backward pass: gradients are copied to shared memory and hashed, and Adam updates the weights. */

import { allocatePinned } from '../../../shared/memory/pinned-vector.js';
import { exactMath } from '../../../shared/arithmetic/exact-math.js';
import { hashBytes } from '../../../shared/ledger/hash.js';
import { adamVectors, vectorOf } from '../../../shared/model/named-vectors.js';
import { normal, times, type NumericsCase, type NumericsContext } from '../numerics-case.js';

const stored: readonly (readonly number[])[] = [[1], [17], [3, 5], [3, 3, 8, 16], [784, 32]];

const parameters: readonly (readonly number[])[] = [[1], [3, 17], [16, 5, 1000]];

const wave = (length: number, scale: number): Float32Array =>
  Float32Array.from({ length }, (_, i) => exactMath.sin(i * scale));

export function updateCases({ tf, kernels, composed }: NumericsContext): NumericsCase[] {
  const implementations = [
    { by: '', used: kernels.float32 },
    { by: ", TensorFlow's", used: composed.float32 },
  ];
  return implementations.flatMap(({ by, used }) => [
    ...stored.map((shape): NumericsCase => ({
      operation: `gradient copy with hash${by}`,
      shapes: times(shape),
      precision: 'float32',
      prepare: () => {
        const x = normal(tf, [...shape], 1);
        const [target, hash] = [allocatePinned(x.size), new Uint8Array(hashBytes)];
        return () => {
          target.fill(Number.NaN);
          used.store(x, target, hash);
          return [target, hash];
        };
      },
    })),
    ...parameters.map((sizes): NumericsCase => ({
      operation: `Adam${by}`,
      shapes: sizes.join(' + '),
      precision: 'float32',
      prepare: () => {
        const total = sizes.reduce((sum, size) => sum + size, 0);
        const initial = new Map(adamVectors.map((name, i) => [name, wave(total, i + 1)]));
        const second = vectorOf(initial, 'adam.second');
        second.forEach((value, i) => (second[i] = Math.abs(value)));
        const gradient = allocatePinned(total);
        gradient.set(wave(total, 4));
        const hashes = new Uint8Array(hashBytes * sizes.length);
        const state = used.adam(vectorOf(initial, 'weights'), sizes, 0.9, 0.999);
        return {
          call: () => {
            state.write(initial);
            const step = { stepSize: 1e-3, correction: 0.03, epsilon: 1e-8 };
            const updated = state.apply(gradient, step, hashes);
            return [...updated, ...state.read().values(), hashes];
          },
          release: () => state.dispose(),
        };
      },
    })),
  ]);
}
