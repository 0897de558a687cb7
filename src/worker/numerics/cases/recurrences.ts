/** Recurrent layers by Lockstep's op, forward and backward; none on an engine that records them. */

import type { Rank } from '@tensorflow/tfjs-core';
import { gatesOf, statesOf, type CellKind } from '../../kernels/recurrence.js';
import { normal, times, type NumericsCase, type NumericsContext } from '../numerics-case.js';

/** Samples, time steps and units; whole vectors of a CPU, and others. */
const sizes: readonly (readonly [samples: number, time: number, units: number])[] = [
  [1, 1, 1],
  [5, 3, 19],
  [32, 8, 32],
];

export function recurrenceCases({ tf, kernels }: NumericsContext): NumericsCase[] {
  const { recurrence } = kernels.float32;
  if (!recurrence) return [];
  const kinds: readonly CellKind[] = ['lstm', 'gru', 'simpleRnn'];
  return kinds.flatMap((kind) =>
    sizes.map(([samples, time, units], i): NumericsCase => ({
      operation: `${kind} and its gradients`,
      shapes: times([samples, time, units]),
      precision: 'float32',
      prepare: () => {
        const columns = gatesOf[kind] * units;
        const inputs = {
          projected: normal<Rank.R3>(tf, [samples, time, columns], 1),
          recurrentKernel: normal<Rank.R2>(tf, [units, columns], 2),
          bias: normal<Rank.R1>(tf, [columns], 3),
          mask: tf.tensor2d(
            Float32Array.from({ length: samples * time }, (_, at) => at % 3),
            [samples, time],
          ),
          dropout: normal<Rank.R2>(tf, [samples, units], 4),
          initial: normal<Rank.R3>(tf, [statesOf[kind], samples, units], 5),
        };
        const dHidden = normal<Rank.R3>(tf, [samples, time, units], 6);
        const options = {
          kind,
          activation: 'tanh',
          recurrentActivation: i % 2 === 0 ? 'sigmoid' : 'hardSigmoid',
          backwards: i === 1,
        } as const;
        return () => {
          const pass = recurrence(options, inputs);
          const last = Array.from({ length: statesOf[kind] }, (_, state) => pass.last(state));
          const { projected, initial } = pass.backward(dHidden, last);
          return [pass.hidden(), projected, initial()];
        };
      },
    })),
  );
}
