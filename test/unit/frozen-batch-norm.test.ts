import type { LayersModel, Tensor } from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import type { ModelContext } from '../../src/api/define-training.js';
import { trainStep } from '../../src/worker/training/train-step.js';
import { columnData, learningRate, regression, tensorsOf, wave, weightsOf } from '../support/against-fit.js';
import { CoordinatedRun } from '../support/coordinated-run.js';
import { engineFor } from '../support/in-process.js';

const data = columnData(
  24,
  [{ shape: [6], dtype: 'float32', value: wave }],
  [{ shape: [1], dtype: 'float32', value: wave }],
);
const [mean, variance, gamma, beta, epsilon] = [0.3, 2, 1.5, -0.2, 1e-3];

/** A frozen BatchNormalization between two dense layers, with a ReLU that could be fused into it. */
const build = ({ tf }: ModelContext): LayersModel => {
  const constant = (value: number) => tf.initializers.constant({ value });
  const norm = tf.layers.batchNormalization({
    name: 'frozen',
    epsilon,
    trainable: false,
    gammaInitializer: constant(gamma),
    betaInitializer: constant(beta),
    movingMeanInitializer: constant(mean),
    movingVarianceInitializer: constant(variance),
  });
  return tf.sequential({
    layers: [
      tf.layers.dense({ units: 5, inputShape: [6] }),
      norm,
      tf.layers.reLU(),
      tf.layers.dense({ units: 1 }),
    ],
  });
};

describe('a frozen BatchNormalization', () => {
  it.each(['wasm', 'tensorflow'] as const)(
    "is a constant affine function with frozenBatchNorm: 'inference', and keeps its statistics, on %s",
    async (choice) => {
      const engine = await engineFor(choice);
      const { tf } = engine;
      const context = await regression(engine, build, data, { shards: 2, frozenBatchNorm: 'inference' });
      const { model, warnings } = context.replica;
      const [first, , , last] = model.layers;
      const { inputs, targets } = tensorsOf(context, 1);
      const { value, grads } = tf.variableGrads(() => {
        const hidden = first!.apply(inputs[0]!) as Tensor;
        const affine = hidden
          .sub(mean)
          .mul(gamma / Math.sqrt(variance + epsilon))
          .add(beta);
        const predictions = last!.apply(affine.relu()) as Tensor;
        return tf.losses.meanSquaredError(targets[0]!, predictions).asScalar();
      });
      const before = weightsOf(model);
      const { loss } = trainStep(context, context.sampler.plan(1));
      expect(loss).toBeCloseTo(value.dataSync()[0]!, 5);
      const after = weightsOf(model);
      for (const [w, weight] of model.weights.entries()) {
        const { name } = weight.read() as Tensor & { readonly name: string };
        const gradient = grads[name]?.dataSync();
        const frozen = weight.originalName.startsWith('frozen/');
        expect(frozen ? 0 : gradient?.length, weight.originalName).not.toBe(undefined);
        after[w]!.forEach((x, i) =>
          expect(x).toBeCloseTo(before[w]![i]! - (frozen ? 0 : learningRate * gradient![i]!), 5),
        );
      }
      expect(warnings).toEqual([]);
    },
  );

  it('normalizes by the batch by default, as fit does, with a warning that names it', async () => {
    const engine = await engineFor('wasm');
    const context = await regression(engine, build, data);
    const { model, warnings } = context.replica;
    expect(warnings).toEqual([expect.stringMatching(/"frozen".*frozenBatchNorm: 'inference'/)]);
    const statistics = () => [2, 3].map((i) => [...model.layers[1]!.getWeights()[i]!.dataSync()]);
    const before = statistics();
    trainStep(context, context.sampler.plan(1));
    expect(statistics()).not.toEqual(before);
  });

  it('is reported once for all workers', () => {
    const run = new CoordinatedRun(2, { batchSize: 30, maxSteps: 8 });
    for (const [i, name] of ['a', 'b'].entries()) run.join(name, i + 1);
    for (const name of ['a', 'b']) run.ready(name, { warnings: ['a note'] });
    const warnings = run.actions.flatMap((action) =>
      action.kind === 'emit' && action.event.event === 'warning' ? [action.event.message] : [],
    );
    expect(warnings).toEqual(['a note']);
  });
});

describe('a note on a model', () => {
  it('names a layer whose seed has no effect, and a recurrent layer whose regularizer tfjs ignores', async () => {
    const engine = await engineFor('wasm');
    const recurrent = ({ tf }: ModelContext): LayersModel =>
      tf.sequential({
        layers: [
          tf.layers.reshape({ inputShape: [6], targetShape: [3, 2] }),
          tf.layers.dropout({ rate: 0.2, seed: 4, name: 'seeded' }),
          tf.layers.lstm({ units: 2, kernelRegularizer: 'l1l2', name: 'penalized' }),
          tf.layers.dense({ units: 1 }),
        ],
      });
    const { replica } = await regression(engine, recurrent, data);
    expect(replica.warnings).toEqual([
      expect.stringMatching(/"seeded".*seed/),
      expect.stringMatching(/"penalized".*regularizers/),
    ]);
    // The reason of the second note: tfjs has no penalty for it.
    const penalties = replica.model.layers.flatMap((layer) => layer.calculateLosses());
    expect(penalties).toEqual([]);
  });
});
