/** BatchNormalization and what is fused into it, by Lockstep's ops and composed from TensorFlow's. */

import { normal, times, type NumericsCase, type NumericsContext } from '../numerics-case.js';

const shapes: readonly (readonly number[])[] = [
  [1, 16],
  [7, 32],
  [5, 17],
  [1, 4, 6, 3],
  [3, 6, 4, 16],
  [5, 6, 8, 32],
];

const tails = [
  { name: 'alone', activation: 'linear', pool: false },
  { name: 'with ReLU', activation: 'relu', pool: false },
  { name: 'with ReLU6', activation: 'relu6', pool: false },
  { name: 'with ReLU and max-pool', activation: 'relu', pool: true },
] as const;

export function batchNormCases({ tf, kernels, composed }: NumericsContext): NumericsCase[] {
  return shapes.flatMap((shape) =>
    [kernels, composed].flatMap((implementation) => {
      const used = implementation.float32;
      const by = implementation === composed ? ", TensorFlow's" : '';
      const channels = shape.at(-1) ?? 0;
      const moments: NumericsCase = {
        operation: `batch moments${by}`,
        shapes: times(shape),
        precision: 'float32',
        prepare: () => {
          const x = normal(tf, [...shape], 1);
          return () => {
            const { mean, m2 } = used.moments(x);
            return [mean, m2];
          };
        },
      };
      const passes = tails
        .filter(({ pool }) => !pool || shape.length === 4)
        // Composed ops are the same for every tail, plus those of the tail.
        .slice(implementation === composed ? -1 : 0)
        .map(({ name, activation, pool }): NumericsCase => ({
          operation: `batch normalization ${name}${by}`,
          shapes: times(shape),
          precision: 'float32',
          prepare: () => {
            const x = normal(tf, [...shape], 1);
            const vectors = (): Float32Array =>
              Float32Array.from({ length: 3 * channels }, (_, i) => ((i * 37) % 64) / 32 - 0.9);
            const [affine, coefficients] = [vectors(), vectors()];
            const pooled = shape.map((size, axis) => (pool && (axis === 1 || axis === 2) ? size / 2 : size));
            const dy = normal(tf, pooled, 2);
            return () => {
              const pass = used.batchNorm(x, affine, { activation, pool }, true);
              const { dz, dzCentred } = pass.sums(dy);
              return [pass.y, dz, dzCentred, pass.inputGradient(dy, coefficients)];
            };
          },
        }));
      return [moments, ...passes];
    }),
  );
}
