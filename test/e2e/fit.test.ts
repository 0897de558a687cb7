import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as tf from '@tensorflow/tfjs';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import type * as api from '../../src/index.js';
import { alive, descendants } from '../support/lockstep.js';

const { fit, fitDataset } = (await import(
  fileURLToPath(new URL('../../dist/index.js', import.meta.url))
)) as typeof api;

/** The temporary folder of this file's calls, in which they must leave nothing. */
const temporary = await mkdtemp(join(tmpdir(), 'lockstep-test-'));
process.env['TMPDIR'] = temporary;

/** One worker that owns both shards, which is one process less than two workers. */
const fast = { workers: 1, shards: 2, threads: 1, engine: 'wasm', shuffle: false } as const;
const samples = 22;
const batchSize = 8;

const wave = (shape: readonly number[], phase: number): tf.Tensor => {
  const size = shape.reduce((product, length) => product * length, 1);
  return tf.tensor(
    Array.from({ length: size }, (_, i) => Math.sin(i * 1.3 + phase)),
    [...shape],
  );
};
const labels = (): tf.Tensor =>
  tf.tidy(() =>
    tf.oneHot(
      tf.tensor1d(
        Array.from({ length: samples }, (_, i) => (i * i) % 3),
        'int32',
      ),
      3,
    ),
  );
const seeded = (seed: number) => tf.initializers.glorotNormal({ seed });

function classifier(compile: Partial<tf.ModelCompileArgs> = {}): tf.Sequential {
  const model = tf.sequential();
  model.add(tf.layers.dense({ units: 5, activation: 'tanh', inputShape: [4], kernelInitializer: seeded(1) }));
  model.add(tf.layers.batchNormalization());
  model.add(
    tf.layers.dense({
      units: 3,
      activation: 'softmax',
      kernelInitializer: seeded(2),
      kernelRegularizer: tf.regularizers.l2({ l2: 0.01 }),
    }),
  );
  model.compile({
    optimizer: tf.train.adam(0.02),
    loss: 'categoricalCrossentropy',
    metrics: ['acc'],
    ...compile,
  });
  return model;
}

/** Expects two histories and two models to be equal up to rounding. */
function expectSame(
  found: tf.History,
  expected: tf.History,
  models: readonly [tf.LayersModel, tf.LayersModel],
): void {
  expect(found.epoch).toEqual(expected.epoch);
  expect(Object.keys(found.history)).toEqual(Object.keys(expected.history));
  for (const [name, values] of Object.entries(expected.history)) {
    expect(found.history[name]).toHaveLength(values.length);
    for (const [i, value] of values.entries())
      expect(found.history[name]?.[i], `${name} ${i}`).toBeCloseTo(value as number, 4);
  }
  const [own, reference] = models.map((model) => model.getWeights().map((weight) => weight.dataSync()));
  for (const [w, values] of reference!.entries())
    for (const [i, value] of values.entries())
      expect(own![w]?.[i], `weight ${w}, value ${i}`).toBeCloseTo(value, 4);
}

afterEach(async () => {
  tf.disposeVariables();
  expect(await alive(await descendants(process.pid))).toEqual([]);
  expect(await readdir(temporary)).toEqual([]);
});

afterAll(async () => {
  await rm(temporary, { recursive: true });
});

describe('fit()', () => {
  it('continues the optimizer of earlier calls, keeps the order of the epochs, and leaves no tensors behind', async () => {
    const [x, y] = [wave([samples, 4], 0), labels()];
    const [own, reference] = [classifier(), classifier()];
    const args = { batchSize, shuffle: false, validationSplit: 0.25 };
    await reference.fit(x, y, { ...args, epochs: 1 });
    const expected = await reference.fit(x, y, { ...args, epochs: 4, initialEpoch: 2 });
    await fit(own, x, y, { ...fast, ...args, epochs: 1 });
    const before = tf.memory().numTensors;
    const found = await fit(own, x, y, { ...fast, ...args, epochs: 4, initialEpoch: 2 });
    expect(tf.memory().numTensors).toBe(before);
    expect(found).toBeInstanceOf(tf.History);
    expect(found.epoch).toEqual([2, 3]);
    expectSame(found, expected, [own, reference]);
    // tfjs's own fit continues from the state of Lockstep's.
    expectSame(await own.fit(x, y, args), await reference.fit(x, y, args), [own, reference]);
  });

  it("calls tfjs's callbacks, with the weights of each epoch, and stops with early stopping", async () => {
    const [x, y] = [wave([samples, 4], 0), labels()];
    const run = async (train: (model: tf.Sequential, args: tf.ModelFitArgs) => Promise<tf.History>) => {
      const model = classifier({ optimizer: tf.train.momentum(0.5, 0.9) });
      const calls: unknown[] = [];
      const sums: number[] = [];
      const stopping = tf.callbacks.earlyStopping({ monitor: 'loss', patience: 0, mode: 'max' });
      class Recorder extends tf.CustomCallback {}
      const recorder = new Recorder({
        onTrainBegin: () => void calls.push('train'),
        onTrainEnd: () => void calls.push('end'),
        onEpochBegin: (epoch) => void calls.push(['epoch', epoch]),
        onEpochEnd: (epoch, logs) => {
          calls.push(['epoch end', epoch, Object.keys(logs ?? {})]);
          sums.push(tf.tidy(() => tf.sum(tf.abs(model.getWeights()[0]!)).dataSync()[0] ?? 0));
        },
        onBatchBegin: (batch) => void calls.push(['batch', batch]),
        onBatchEnd: (batch, logs) => void calls.push(['batch end', batch, logs?.['size']]),
      });
      const callbacks = [recorder, stopping];
      const history = await train(model, { batchSize, epochs: 6, shuffle: false, callbacks });
      return { model, calls, sums, history };
    };
    const expected = await run((model, args) => model.fit(x, y, args));
    const found = await run((model, args) => fit(model, x, y, { ...args, ...fast } as api.FitArguments));
    expect(expected.history.epoch.length).toBeLessThan(6);
    expect(found.calls).toEqual(expected.calls);
    for (const [i, sum] of expected.sums.entries()) expect(found.sums[i]).toBeCloseTo(sum, 4);
    expectSame(found.history, expected.history, [found.model, expected.model]);
  });

  it('weights classes and trains models with several inputs and outputs', async () => {
    const build = (): tf.LayersModel => {
      const [a, b] = [tf.input({ shape: [4], name: 'a' }), tf.input({ shape: [2], name: 'b' })];
      const joined = tf.layers.concatenate().apply([a, b]) as tf.SymbolicTensor;
      const kind = tf.layers.dense({
        units: 3,
        activation: 'softmax',
        name: 'kind',
        kernelInitializer: seeded(3),
      });
      const size = tf.layers.dense({ units: 1, name: 'size', kernelInitializer: seeded(4) });
      const model = tf.model({
        inputs: [a, b],
        outputs: [kind.apply(joined), size.apply(joined)] as tf.SymbolicTensor[],
      });
      const loss = { kind: 'categoricalCrossentropy', size: 'meanSquaredError' };
      model.compile({ optimizer: 'sgd', loss, metrics: { kind: 'accuracy', size: 'mae' } });
      return model;
    };
    const xs = { a: wave([samples, 4], 0), b: wave([samples, 2], 1) };
    const ys = { kind: labels(), size: wave([samples, 1], 2) };
    const [own, reference] = [build(), build()];
    const args = { batchSize, epochs: 2, shuffle: false, classWeight: { kind: { 0: 1, 1: 3, 2: 0.5 } } };
    const expected = await reference.fit(xs, ys, args);
    expectSame(await fit(own, xs, ys, { ...fast, ...args }), expected, [own, reference]);
    expect(Object.keys(expected.history)).toEqual(['loss', 'kind_loss', 'size_loss', 'kind_acc', 'size_mae']);
  });

  it('trains on the batches of a dataset, and weights samples like repeated ones', async () => {
    const [x, y] = [wave([samples, 4], 0), labels()];
    const dataset = (): tf.data.Dataset<tf.TensorContainer> =>
      tf.data
        .zip({
          xs: tf.data.array(x.arraySync() as number[][]),
          ys: tf.data.array(y.arraySync() as number[][]),
        })
        .batch(batchSize);
    const [own, reference] = [classifier(), classifier()];
    // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- tfjs declares the class twice
    const expected = await reference.fitDataset(dataset(), { epochs: 2, validationData: [x, y] });
    const { workers, shards, threads, engine } = fast;
    const found = await fitDataset(own, dataset(), {
      workers,
      shards,
      threads,
      engine,
      epochs: 2,
      validationData: [x, y],
    });
    expectSame(found, expected, [own, reference]);

    // The mean of weighted losses over n samples is 1/n times the gradient of the samples, each repeated as often as its weight says.
    const build = (): tf.Sequential => {
      const model = tf.sequential();
      model.add(tf.layers.dense({ units: 1, inputShape: [2], kernelInitializer: seeded(6) }));
      return model;
    };
    const [inputs, targets] = [wave([4, 2], 0), wave([4, 1], 1)];
    const counts = [1, 2, 0, 3];
    const repeated = counts.flatMap((count, i) => Array.from({ length: count }, () => i));
    const [weighted, plain] = [build(), build()];
    weighted.compile({ optimizer: tf.train.sgd(0.1), loss: 'meanSquaredError' });
    plain.compile({
      optimizer: tf.train.sgd((0.1 * repeated.length) / counts.length),
      loss: 'meanSquaredError',
    });
    const weights = tf.tensor1d(counts);
    await fit(weighted, inputs, targets, { ...fast, batchSize: 4, sampleWeight: weights });
    await plain.fit(tf.gather(inputs, repeated), tf.gather(targets, repeated), {
      batchSize: 6,
      shuffle: false,
    });
    const [found2, expected2] = [weighted, plain].map((model) => [...model.getWeights()[0]!.dataSync()]);
    for (const [i, value] of expected2!.entries()) expect(found2![i]).toBeCloseTo(value, 5);
  });

  it('refuses what cannot be sent to the workers, with the remedy, before any process is started', async () => {
    const [x, y] = [wave([samples, 4], 0), labels()];
    const refusal = (model: tf.LayersModel, args: object = {}) => fit(model, x, y, { ...fast, ...args });
    const mine = (a: tf.Tensor, b: tf.Tensor): tf.Tensor => tf.abs(tf.sub(a, b));
    await expect(refusal(classifier({ loss: mine }))).rejects.toThrow(
      /the loss is a function.*call train\(\)/,
    );
    await expect(refusal(classifier({ metrics: [mine] }))).rejects.toThrow(/the metric is a function/);
    await expect(refusal(classifier({ metrics: ['precision'] }))).rejects.toThrow(
      /precision is one number.*shards: 1/,
    );
    await expect(refusal(classifier(), { shuffle: 'batch' })).rejects.toThrow(
      /shuffle: expected true or false/,
    );
    await expect(refusal(classifier(), { stepsPerEpoch: 3 })).rejects.toThrow(/stepsPerEpoch has no effect/);
    await expect(
      refusal(tf.sequential({ layers: [tf.layers.dense({ units: 3, inputShape: [4] })] })),
    ).rejects.toThrow(/expected a compiled model/);
    await expect(refusal(classifier(), { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow(
      'enough',
    );
    await expect(refusal(classifier(), { epoch: 3 })).rejects.toThrow(
      /epoch has no effect\. Did you mean epochs\b/,
    );
    await expect(refusal(classifier(), { joinTimeoutMs: 0 })).rejects.toThrow(/joinTimeoutMs.*got 0/);
  });

  it('ends with what its workers do and the remedy if they are not ready within joinTimeoutMs', async () => {
    const call = fit(classifier(), wave([samples, 4], 0), labels(), {
      ...fast,
      workers: 2,
      joinTimeoutMs: 1,
    });
    await expect(call).rejects.toMatchObject({
      code: 'DEADLINE',
      message: expect.stringMatching(
        /^Workers (missing|not ready) after 0\.0 s: .*raise joinTimeoutMs \(--join-timeout-ms\)\.$/,
      ) as string,
    });
  });

  it('names the module for a layer of the user, refuses its class otherwise, and a rate that a callback changes', async () => {
    const [x, y] = [wave([samples, 4], 0), labels()];
    const layers = fileURLToPath(new URL('../fixtures/double-layer.mjs', import.meta.url));
    const { Double } = (await import(layers)) as { Double: new (config: object) => tf.layers.Layer };
    const build = (): tf.Sequential => {
      const model = tf.sequential();
      model.add(tf.layers.dense({ units: 3, inputShape: [4], kernelInitializer: seeded(1) }));
      model.add(new Double({}));
      model.compile({ optimizer: tf.train.sgd(0.1), loss: tf.losses.softmaxCrossEntropy });
      return model;
    };
    await expect(fit(build(), x, y, fast)).rejects.toThrow(/class Double .* not registered.*modules/);
    const [own, reference] = [build(), build()];
    const args = { batchSize, epochs: 2, shuffle: false };
    const expected = await reference.fit(x, y, args);
    expectSame(await fit(own, x, y, { ...fast, ...args, modules: [layers] }), expected, [own, reference]);
    const model = classifier();
    const slower = (): void => void Object.assign(model.optimizer, { learningRate: 0.001 });
    await expect(fit(model, x, y, { ...fast, epochs: 3, callbacks: { onEpochEnd: slower } })).rejects.toThrow(
      /changed the optimizer's learning rate from 0.02 to 0.001/,
    );
    const stop = new AbortController();
    const aborted = fit(model, x, y, {
      ...fast,
      epochs: 100,
      signal: stop.signal,
      callbacks: { onEpochEnd: () => stop.abort(new Error('enough')) },
    });
    await expect(aborted).rejects.toThrow('enough');
  });
});
