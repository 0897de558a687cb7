import type { LayersModel, SymbolicTensor, Tensor } from '@tensorflow/tfjs';
import { expect, it } from 'vitest';
import { formulaLosses, lossSchema, outputLossSchema } from '../../src/shared/config/loss-config.js';
import { PortableKernels } from '../../src/worker/kernels/portable.js';
import { createLoss } from '../../src/worker/objective/losses.js';
import { engineFor } from '../support/in-process.js';

const { tf } = await engineFor('wasm');

/** The loss function that tfjs's own compile chooses for a name: one value per position. */
function lossOfTfjs(name: string, units: number): (target: Tensor, prediction: Tensor) => Tensor {
  const input = tf.input({ shape: [1] });
  const output = tf.layers.dense({ units }).apply(input) as SymbolicTensor;
  const model = tf.model({ inputs: input, outputs: output });
  model.compile({ optimizer: 'sgd', loss: name });
  const [own] = (model as unknown as { lossFunctions: ((t: Tensor, p: Tensor) => Tensor)[] } & LayersModel)
    .lossFunctions;
  if (!own) throw new Error('tfjs has no such loss');
  return own;
}

/** Positive numbers that are no multiples of each other, so that no formula is at a kink. */
const values = (shape: number[], seed: number): Tensor =>
  tf.tensor(
    Array.from(
      { length: shape.reduce((a, b) => a * b) },
      (_, i) => 0.05 + Math.abs(Math.sin(i * 1.7 + seed)) * 0.9,
    ),
    shape,
  );

it.each(formulaLosses.flatMap((kind) => [[kind, [5, 4]] as const, [kind, [3, 2, 4]] as const]))(
  '%s of samples %j has the value and the gradient of tfjs',
  (kind, shape) => {
    const [prediction, target] = [values([...shape], 1), values([...shape], 2)];
    const loss = createLoss(tf, new PortableKernels(tf), outputLossSchema.parse({ kind }), undefined);
    const own = lossOfTfjs(kind, 4);
    const [samples] = shape;
    const { value, grad } = tf.valueAndGrad((p: Tensor) => tf.mean(own(target, p)))(prediction);
    const { sum, gradient } = loss(prediction, target);
    // Values up to 151 in float32.
    expect(Math.abs(sum / samples / (value.dataSync()[0] ?? Number.NaN) - 1)).toBeLessThan(1e-6);
    const expected = grad.dataSync();
    const largest = Math.max(...expected.map(Math.abs));
    expect(largest).toBeGreaterThan(1e-3);
    for (const [i, got] of gradient.dataSync().entries())
      expect(Math.abs(got / samples - (expected[i] ?? Number.NaN)) / largest, `element ${i}`).toBeLessThan(
        1e-6,
      );
  },
);

it("takes tfjs's short names", () => {
  expect(lossSchema.parse('mape')).toBe('meanAbsolutePercentageError');
  expect(lossSchema.parse({ kind: 'kld', weight: 2 })).toEqual({
    kind: 'kullbackLeiblerDivergence',
    weight: 2,
  });
  expect(lossSchema.parse({ price: 'cosine', sold: 'binaryCrossentropy' })).toEqual({
    price: 'cosineProximity',
    sold: 'binaryCrossEntropy',
  });
});
