import type { LayersModel, Tensor, layers } from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import type { ModelContext } from '../../src/api/define-training.js';
import { elementCount } from '../../src/shared/model/layout.js';
import type { ActiveShard, StepContext } from '../../src/worker/executor/layer-op.js';
import type { GenerationContext } from '../../src/worker/training/generation-context.js';
import { trainStep } from '../../src/worker/training/train-step.js';
import {
  behindDense,
  columnData,
  expectTrainsLikeFit,
  features,
  regression,
  sequence,
  sequences,
  time,
  wave,
  type Column,
} from '../support/against-fit.js';
import { engineFor } from '../support/in-process.js';
import { normalDraw, uniformDraw } from '../support/philox-draws.js';

type Tf = ModelContext['tf'];
type Build = (context: ModelContext) => LayersModel;

const size = time * features;
const rate = 0.4;
const film: Column = { shape: [2, 3, 3, 1], dtype: 'float32', value: wave };
const scalar: Column = { shape: [1], dtype: 'float32', value: wave };
const films = columnData(24, [film], [scalar]);
const of = { seed: 3, step: 5, node: 1 };
const whole = { local: 0, start: 8, count: 8 };

/** Name of the variable of a weight. */
const nameOf = (weight: { read(): Tensor }): string =>
  (weight.read() as Tensor & { readonly name: string }).name;

interface Pass {
  readonly outputs: readonly number[];
  /** Sums over the shards, by layout index. */
  readonly gradients: readonly Float32Array[];
}

/** One pass of step `of.step` over the samples 8 to 15, with the gradient 1 by each output. */
function passOf(
  { executor, replica }: GenerationContext,
  column: Column,
  shards: readonly ActiveShard[],
): Pass {
  const { tf } = replica.engine;
  const outputs: number[] = [];
  const gradients: Float32Array[] = replica.layout.map(() => new Float32Array(0));
  const inputs = shards.map(({ start, count }) => {
    const per = column.shape.reduce((product, n) => product * n, 1);
    const values = Float32Array.from({ length: count * per }, (_, i) =>
      column.value(start + Math.floor(i / per), i % per),
    );
    return tf.tensor(values, [count, ...column.shape]);
  });
  const gradient: StepContext['gradient'] = (weight, _, value) => {
    let values = new Float32Array(elementCount(replica.layout[weight]!.shape));
    if (typeof value === 'function') value(values as never);
    else values = Float32Array.from('dataSync' in value ? value.dataSync<'float32'>() : value);
    const before = gradients[weight]!;
    gradients[weight] = before.length > 0 ? before.map((x, i) => x + values[i]!) : values;
  };
  tf.tidy(() =>
    executor.train({ training: true, step: of.step, shards, gradient }, [inputs], ([predictions = []]) => {
      for (const prediction of predictions) outputs.push(...prediction.dataSync());
      return [predictions.map((prediction) => tf.onesLike(prediction))];
    }),
  );
  return { outputs, gradients };
}

/** The same pass by tfjs's tape over the whole model, in which `middle` takes the place of the random layer. */
function expectedPass({ replica }: GenerationContext, middle: (x: Tensor, tf: Tf) => Tensor): Pass {
  const { tf } = replica.engine;
  const [first, , flat, last] = replica.model.layers;
  return tf.tidy(() => {
    const values = Float32Array.from({ length: 8 * size }, (_, i) =>
      wave(8 + Math.floor(i / size), i % size),
    );
    const x = tf.tensor(values, [8, time, features]);
    let outputs: Tensor | undefined;
    const { grads } = tf.variableGrads(() => {
      outputs = tf.keep(last!.apply(flat!.apply(middle(first!.apply(x) as Tensor, tf))) as Tensor);
      return tf.sum(outputs).asScalar();
    });
    const weights = replica.model.weights.map((weight) => grads[nameOf(weight)]);
    return {
      outputs: [...outputs!.dataSync()],
      gradients: weights.map((gradient) => gradient!.dataSync<'float32'>()),
    };
  });
}

function expectClose(found: Pass, expected: Pass): void {
  expect(found.outputs).toHaveLength(expected.outputs.length);
  found.outputs.forEach((value, i) => expect(value).toBeCloseTo(expected.outputs[i]!, 4));
  expect(found.gradients).toHaveLength(expected.gradients.length);
  for (const [w, gradient] of found.gradients.entries())
    gradient.forEach((value, i) => expect(value).toBeCloseTo(expected.gradients[w]![i]!, 3));
}

const uniform = (draw: number, columns = size) => uniformDraw(of, draw, whole, columns);
const normal = (draw: number) => normalDraw(of, draw, whole, size);
const kept = (u: number): number => (u < rate ? 0 : 1 / (1 - rate));

const noises: Record<string, [(tf: Tf) => layers.Layer, (x: Tensor, tf: Tf) => Tensor]> = {
  GaussianNoise: [
    (tf) => tf.layers.gaussianNoise({ stddev: 0.3 }),
    (x, tf) =>
      tf.add(
        x,
        tf.tensor(
          normal(0).map((z) => 0.3 * z),
          x.shape,
        ),
      ),
  ],
  GaussianDropout: [
    (tf) => tf.layers.gaussianDropout({ rate }),
    (x, tf) =>
      tf.mul(
        x,
        tf.tensor(
          normal(0).map((z) => 1 + z * Math.sqrt(rate / (1 - rate))),
          x.shape,
        ),
      ),
  ],
  AlphaDropout: [
    (tf) => tf.layers.alphaDropout({ rate }),
    (x, tf) => {
      // As in tfjs, where dropped values become alpha * scale and not, as in Keras, the negative of it.
      const negative = -1.7580993408473766;
      const scale = 1 / Math.sqrt((1 - rate) * (1 + rate * negative ** 2));
      const mask = uniform(0).map((u) => (u < rate ? 0 : 1));
      const constant = mask.map((keep) => scale * ((keep - 1) * negative - rate * negative));
      return tf.add(
        tf.mul(
          x,
          tf.tensor(
            mask.map((keep) => keep * scale),
            x.shape,
          ),
        ),
        tf.tensor(constant, x.shape),
      );
    },
  ],
  SpatialDropout1D: [
    (tf) => tf.layers.spatialDropout1d({ rate }),
    (x, tf) => tf.mul(x, tf.tensor(uniform(0, features).map(kept), [8, 1, features])),
  ],
  'Dropout with a noiseShape': [
    (tf) => tf.layers.dropout({ rate, noiseShape: [null, time, 1] as unknown as number[] }),
    (x, tf) => tf.mul(x, tf.tensor(uniform(0, time).map(kept), [8, time, 1])),
  ],
  'TimeDistributed(Dropout), with a seed of its own': [
    (tf) => tf.layers.timeDistributed({ layer: tf.layers.dropout({ rate, seed: 7 }) }),
    (x, tf) => {
      const masks = Array.from({ length: time }, (_, t) =>
        tf.tensor(uniform(t, features).map(kept), [8, features]),
      );
      return tf.mul(x, tf.stack(masks, 1));
    },
  ],
};

describe.each(['wasm', 'tensorflow'] as const)('a random layer on %s', (choice) => {
  it.each(Object.entries(noises))('has the numbers of Philox: %s', async (_, [make, middle]) => {
    const context = await regression(await engineFor(choice), behindDense(make), sequences);
    const expected = expectedPass(context, middle);
    expectClose(passOf(context, sequence, [whole]), expected);
    const halves = [
      { local: 0, start: 8, count: 3 },
      { local: 1, start: 11, count: 5 },
    ];
    expectClose(passOf(context, sequence, halves), expected);
  });
});

type Cells = readonly { dropoutFunc?: unknown }[];
const recurrent: Record<string, [typeof sequences, Column, (tf: Tf) => layers.Layer]> = {
  LSTM: [sequences, sequence, (tf) => tf.layers.lstm({ units: 3, dropout: rate, recurrentDropout: 0.2 })],
  GRU: [sequences, sequence, (tf) => tf.layers.gru({ units: 3, dropout: rate, recurrentDropout: 0.2 })],
  SimpleRNN: [
    sequences,
    sequence,
    (tf) => tf.layers.simpleRNN({ units: 3, dropout: rate, recurrentDropout: 0.2 }),
  ],
  ConvLSTM2D: [
    films,
    film,
    (tf) =>
      tf.layers.convLstm2d({
        filters: 2,
        kernelSize: 2,
        padding: 'same',
        dropout: rate,
        recurrentDropout: 0.2,
      } as never),
  ],
};

describe.each(['wasm', 'tensorflow'] as const)('the dropout of a recurrent cell on %s', (choice) => {
  it.each(Object.entries(recurrent))(
    'has the numbers of Philox, in each gate: %s',
    async (_, [data, column, make]) => {
      const engine = await engineFor(choice);
      const { tf } = engine;
      const build: Build = ({ tf }) => {
        const model = tf.sequential({
          layers: [tf.layers.reshape({ inputShape: [...column.shape], targetShape: [...column.shape] })],
        });
        model.add(make(tf));
        if (model.outputShape.length > 2) model.add(tf.layers.flatten());
        model.add(tf.layers.dense({ units: 1 }));
        return model;
      };
      const context = await regression(engine, build, data);
      const found = passOf(context, column, [whole]);

      const { cell } = context.replica.model.layers[1] as unknown as { cell: Cells[number] };
      let draw = 0;
      cell.dropoutFunc = (ones: Tensor, p: number): Tensor => {
        const values = uniformDraw(of, draw++, whole, ones.size / 8).map((u) => (u < p ? 0 : 1 / (1 - p)));
        return tf.tensor(values, ones.shape);
      };
      const per = column.shape.reduce((product, n) => product * n, 1);
      const x = tf.tensor(
        Float32Array.from({ length: 8 * per }, (_, i) => wave(8 + Math.floor(i / per), i % per)),
        [8, ...column.shape],
      );
      const { value, grads } = tf.variableGrads(() =>
        tf.sum(context.replica.model.apply(x, { training: true }) as Tensor).asScalar(),
      );
      expect(draw).toBeGreaterThan(1);
      expect(found.outputs.reduce((a, b) => a + b, 0)).toBeCloseTo(value.dataSync()[0]!, 4);
      for (const [w, weight] of context.replica.model.weights.entries()) {
        const expected = grads[nameOf(weight)]!.dataSync();
        found.gradients[w]!.forEach((gradient, i) => expect(gradient).toBeCloseTo(expected[i]!, 4));
      }
    },
  );

  it('leaves no mask behind', async () => {
    const engine = await engineFor(choice);
    const context = await regression(
      engine,
      behindDense((tf) => tf.layers.lstm({ units: 3, dropout: rate, returnSequences: true })),
      sequences,
    );
    trainStep(context, context.sampler.plan(1));
    const before = engine.tf.memory().numTensors;
    trainStep(context, context.sampler.plan(2));
    expect(engine.tf.memory().numTensors).toBe(before);
  });
});

describe('BatchNormalization in TimeDistributed', () => {
  const inner: Record<string, (tf: Tf) => layers.Layer> = {
    'by itself': (tf) => tf.layers.batchNormalization({ momentum: 0.8 }),
    'in a nested model': (tf) =>
      tf.sequential({
        layers: [
          tf.layers.dense({ units: 4, inputShape: [features], activation: 'tanh' }),
          tf.layers.batchNormalization({ momentum: 0.8 }),
          tf.layers.activation({ activation: 'elu' }),
        ],
      }),
  };
  it.each(Object.entries(inner))(
    'has the statistics of each time step over all shards: %s',
    async (_, make) => {
      const engine = await engineFor('wasm');
      const build = behindDense((tf) => tf.layers.timeDistributed({ layer: make(tf) }));
      // The running variance is unbiased here and biased in tfjs.
      const only = (name: string): boolean => !name.includes('moving_variance');
      await expectTrainsLikeFit(engine, build, sequences, { shards: 1, only });
      await expectTrainsLikeFit(engine, build, sequences, { shards: 3, only });
    },
  );
});
