import type {
  LayersModel,
  SymbolicTensor,
  NamedTensorMap,
  Tensor,
  Tensor2D,
  Variable,
} from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import type { ModelContext } from '../../src/api/define-training.js';
import { ModelError } from '../../src/shared/errors.js';
import type { LayerVariable } from '../../src/worker/executor/layer.js';
import { markFrozenWeights } from '../../src/worker/training/frozen-layers.js';
import type { GenerationContext } from '../../src/worker/training/generation-context.js';
import { trainStep } from '../../src/worker/training/train-step.js';
import { alone, batchOf, engineFor, syntheticData } from '../support/in-process.js';

const data = syntheticData(96);

/** Every layer with an implementation of its own, and some that are recorded on the tape. */
const model = ({ tf }: ModelContext): LayersModel =>
  tf.sequential({
    layers: [
      tf.layers.conv2d({ inputShape: [8, 8, 1], filters: 16, kernelSize: 3, padding: 'same' }),
      tf.layers.batchNormalization({ epsilon: 1e-3 }),
      tf.layers.reLU(),
      tf.layers.maxPooling2d({ poolSize: 2 }),
      tf.layers.conv2d({ filters: 5, kernelSize: 3, padding: 'valid', activation: 'relu' }),
      tf.layers.batchNormalization({ epsilon: 1e-3 }),
      tf.layers.flatten(),
      tf.layers.dense({ units: 16, activation: 'tanh' }),
      tf.layers.dense({ units: 12 }),
      tf.layers.batchNormalization({ epsilon: 1e-3 }),
      tf.layers.activation({ activation: 'relu' }),
      tf.layers.dense({ units: 10 }),
    ],
  });

const norm = (values: ArrayLike<number>): number => Math.hypot(...Array.from(values));

/** Each parameter's gradient by tfjs's tape, and where the flat one has it; together they are all of the flat one. */
function besideTfjs(
  { replica, executor }: GenerationContext,
  grads: NamedTensorMap,
  flat: Float32Array,
): { name: string; expected: Float32Array; found: Float32Array }[] {
  const weights = replica.model.weights as unknown as (LayerVariable & { readonly val: Variable })[];
  let offset = 0;
  const pairs = executor.backwardOrder.map((index) => {
    const { val, originalName } = weights[index]!;
    const expected = grads[val.name]!.dataSync<'float32'>();
    return { name: originalName, expected, found: flat.subarray(offset, (offset += expected.length)) };
  });
  expect(offset).toBe(flat.length);
  return pairs;
}

describe.each(['js', 'wasm', 'tensorflow'] as const)('the executor on the engine %s', (choice) => {
  it.each([1, 2, 3])('computes the loss and the gradients of tfjs with %i shards', async (shards) => {
    const engine = await engineFor(choice);
    const { tf } = engine;
    const context = await alone(engine, model, { batchSize: 48, shards, seed: 3 }, data);
    const { replica, sampler, buckets, executor } = context;
    const { inputs, labels, shape } = batchOf(context, sampler.plan(1));
    const variables = replica.model.trainableWeights.map(({ originalName }) => originalName);
    // tfjs's own tape over the whole batch, with its own BatchNormalization.
    const { value, grads } = tf.variableGrads(() => {
      const logits = replica.model.apply(tf.tensor(inputs, shape), { training: true }) as Tensor2D;
      return tf.losses.softmaxCrossEntropy(tf.oneHot(tf.tensor1d(labels, 'int32'), 10), logits);
    });
    const expectedLoss = value.dataSync()[0]!;

    const finish = buckets.finish.bind(buckets);
    let flat = new Float32Array(0);
    buckets.finish = (examine) => {
      const gradient = finish(examine);
      flat = Float32Array.from(gradient);
      return gradient;
    };
    const { loss } = trainStep(context, sampler.plan(1));
    expect(loss / expectedLoss).toBeCloseTo(1, 6);
    expect(variables).toHaveLength(executor.backwardOrder.length);

    for (const { name, expected, found } of besideTfjs(context, grads, flat)) {
      const scale = norm(expected);
      const distance = norm(expected.map((gradient, i) => gradient - found[i]!));
      // A bias before BatchNorm has gradient zero in exact arithmetic, and noise in tfjs's.
      if (scale < 1e-5) expect(norm(found), name).toBeLessThan(1e-5);
      else expect(distance / scale, name).toBeLessThan(2e-4);
    }
  });

  it('adds the penalties of regularizers to loss and gradients once per step, as tfjs does', async () => {
    const engine = await engineFor(choice);
    const { tf } = engine;
    const regularized = ({ tf }: ModelContext): LayersModel => {
      const { l1, l2, l1l2 } = tf.regularizers;
      const inner = tf.sequential({
        layers: [tf.layers.dense({ inputShape: [16], units: 8, kernelRegularizer: l1({ l1: 0.02 }) })],
      });
      const layers = [
        tf.layers.conv2d({
          inputShape: [8, 8, 1],
          filters: 4,
          kernelSize: 3,
          kernelRegularizer: l2({ l2: 0.03 }),
        }),
        tf.layers.batchNormalization({ gammaRegularizer: l2({ l2: 0.1 }) }),
        tf.layers.flatten(),
        tf.layers.dense({
          units: 16,
          kernelRegularizer: l1l2({ l1: 0.01, l2: 0.02 }),
          biasRegularizer: l2(),
        }),
        inner,
        tf.layers.dense({ units: 10, kernelRegularizer: l2({ l2: 0.5 }), trainable: false }),
      ];
      return tf.sequential({ layers });
    };
    const context = await alone(engine, regularized, { batchSize: 48, shards: 3, seed: 3 }, data);
    const { replica, sampler, buckets, state } = context;
    const { inputs, labels, shape } = batchOf(context, sampler.plan(1));
    const { value, grads } = tf.variableGrads(() => {
      const logits = replica.model.apply(tf.tensor(inputs, shape), { training: true }) as Tensor2D;
      const own = tf.losses.softmaxCrossEntropy(tf.oneHot(tf.tensor1d(labels, 'int32'), 10), logits);
      return replica.model
        .calculateLosses()
        .reduce((a, b) => a.add(b), own)
        .asScalar();
    });
    const expectedLoss = value.dataSync()[0]!;
    // The first call of a Sequential marks every weight as trainable again.
    markFrozenWeights(replica.model);
    const [finish, update] = [buckets.finish.bind(buckets), state.update.bind(state)];
    let reduced = new Float32Array(0);
    let [before, applied] = [reduced, reduced];
    buckets.finish = (examine) => {
      const gradient = finish(examine);
      reduced = gradient as Float32Array as Float32Array<ArrayBuffer>;
      before = reduced.slice();
      return gradient;
    };
    state.update = (gradient, ...rest) => {
      applied = gradient.slice();
      update(gradient, ...rest);
    };
    const { loss } = trainStep(context, sampler.plan(1));
    expect(loss / expectedLoss).toBeCloseTo(1, 6);
    // Other workers may still be reading what was reduced.
    expect(reduced).toEqual(before);
    expect(applied).not.toEqual(before);
    for (const { name, expected, found } of besideTfjs(context, grads, applied)) {
      const distance = norm(expected.map((gradient, i) => gradient - found[i]!));
      expect(distance, name).toBeLessThan(2e-4 * norm(expected) + 1e-6);
    }
  });

  it('does not change frozen layers, whether they were frozen before or after they were built, or inside a model', async () => {
    const engine = await engineFor(choice);
    const frozen = ({ tf }: ModelContext): LayersModel => {
      const block = tf.sequential({
        layers: [
          tf.layers.dense({ inputShape: [12], units: 9 }),
          tf.layers.batchNormalization(),
          tf.layers.dense({ units: 9, activation: 'elu' }),
        ],
      });
      block.trainable = false;
      const conv = tf.layers.conv2d({ inputShape: [8, 8, 1], filters: 4, kernelSize: 3, trainable: false });
      const late = tf.layers.dense({ units: 7 });
      const layers = [
        conv,
        tf.layers.flatten(),
        tf.layers.dense({ units: 12, name: 'first' }),
        block,
        late,
        tf.layers.batchNormalization({ name: 'second', trainable: false }),
        tf.layers.dense({ units: 10, name: 'third' }),
      ];
      const model = tf.sequential({ layers });
      late.trainable = false;
      return model;
    };
    const context = await alone(engine, frozen, { batchSize: 48, shards: 2, seed: 3 }, data);
    const { replica, sampler, executor } = context;
    const trained = ['first/kernel', 'first/bias', 'third/kernel', 'third/bias'];
    expect(executor.backwardOrder.map((weight) => replica.layout[weight]!.name).sort()).toEqual(
      trained.sort(),
    );
    const weights = replica.model.weights as unknown as LayerVariable[];
    const values = (): Float32Array[] => weights.map((weight) => weight.read().dataSync<'float32'>().slice());
    const before = values();
    for (let step = 1; step <= 2; step++) trainStep(context, sampler.plan(step));
    const changed = values().flatMap((value, i) =>
      norm(value.map((x, at) => x - before[i]![at]!)) > 0 ? [weights[i]!.originalName] : [],
    );
    // As in tfjs and PyTorch, running statistics are no parameters: they move.
    const statistics = weights
      .map(({ originalName }) => originalName)
      .filter((name) => name.includes('/moving_'));
    expect(changed.sort()).toEqual([...trained, ...statistics].sort());
    const open = replica.layout.filter(({ trainable }) => trainable).map(({ name }) => name);
    expect(open.sort()).toEqual(trained);
  });

  it('updates the running statistics by the unbiased variance of the global batch, bias included', async () => {
    const engine = await engineFor(choice);
    const { tf } = engine;
    const one = ({ tf }: ModelContext): LayersModel =>
      tf.sequential({
        layers: [
          tf.layers.flatten({ inputShape: [8, 8, 1] }),
          tf.layers.dense({ units: 16, biasInitializer: tf.initializers.constant({ value: 3 }) }),
          tf.layers.batchNormalization({ momentum: 0.9 }),
          tf.layers.dense({ units: 10 }),
        ],
      });
    const context = await alone(engine, one, { batchSize: 48, shards: 2 }, data);
    const { replica, sampler } = context;
    const { inputs, shape } = batchOf(context, sampler.plan(1));
    const dense = replica.model.layers[1]!;
    const flat = tf.tensor(inputs, [shape[0]!, 64]);
    const { mean, variance } = tf.moments(dense.apply(flat) as Tensor, 0);
    const expected = [mean.mul(0.1), variance.mul(0.1 * (48 / 47)).add(0.9)].map((tensor) =>
      tensor.dataSync<'float32'>(),
    );
    trainStep(context, sampler.plan(1));
    const [, , movingMean, movingVariance] = replica.model.layers[2]!.getWeights().map((tensor) =>
      tensor.dataSync<'float32'>(),
    );
    movingMean!.forEach((value, c) => expect(value).toBeCloseTo(expected[0]![c]!, 5));
    movingVariance!.forEach((value, c) => expect(value).toBeCloseTo(expected[1]![c]!, 5));
  });
});

describe('the executor', () => {
  it('refuses a layer whose result would depend on the sharding, by name and with the reason', async () => {
    const engine = await engineFor('js');
    const noisy = ({ tf }: ModelContext): LayersModel =>
      tf.sequential({
        layers: [
          tf.layers.flatten({ batchInputShape: [48, 8, 8, 1] }),
          tf.layers.reshape({ targetShape: [8, 8] }),
          tf.layers.bidirectional({ layer: tf.layers.lstm({ units: 2, stateful: true }), name: 'memory' }),
          tf.layers.dense({ units: 10 }),
        ],
      });
    await expect(alone(engine, noisy, {}, data)).rejects.toThrow(ModelError);
    await expect(alone(engine, noisy, {}, data)).rejects.toThrow(/"memory" \(Bidirectional\)/);
    const constrained = ({ tf }: ModelContext): LayersModel =>
      tf.sequential({
        layers: [
          tf.layers.flatten({ inputShape: [8, 8, 1] }),
          tf.layers.dense({ units: 10, name: 'output', kernelConstraint: tf.constraints.nonNeg() }),
        ],
      });
    await expect(alone(engine, constrained, {}, data)).rejects.toThrow(/output\/kernel has a constraint/);
  });

  it.each([true, false])(
    'refuses a layer that is called with training: %s, which fit would ignore',
    async (training) => {
      const engine = await engineFor('js');
      const fixed = ({ tf }: ModelContext): LayersModel => {
        const input = tf.input({ shape: [8, 8, 1] });
        const flat = tf.layers.flatten().apply(input, { training }) as SymbolicTensor;
        const dropped = tf.layers
          .dropout({ rate: 0.5, name: 'always' })
          .apply(flat, { training }) as SymbolicTensor;
        return tf.model({
          inputs: input,
          outputs: tf.layers.dense({ units: 10 }).apply(dropped) as SymbolicTensor,
        });
      };
      const refused = alone(engine, fixed, {}, data);
      await expect(refused).rejects.toThrow(ModelError);
      await expect(refused).rejects.toThrow(`layer "always" without \`training\`, got training: ${training}`);
    },
  );
});
