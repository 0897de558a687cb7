import type { LayersModel } from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import type { RunConfigInput } from '../../src/shared/config/run-config.js';
import { evaluateAlone } from '../../src/worker/evaluation/evaluate.js';
import { scoreOf } from '../../src/worker/objective/count-scores.js';
import { alone, engineFor, syntheticData } from '../support/in-process.js';

const engine = await engineFor('wasm');
const { tf } = engine;
const count = 61;

/** The metrics of a test set, the probabilities by tfjs's own predict, and the labels. */
async function evaluated(
  classes: number,
  units: number,
  activation: 'softmax' | 'sigmoid' | 'linear',
  config: RunConfigInput,
) {
  const data = syntheticData(count, classes);
  const build = (): LayersModel =>
    tf.sequential({
      layers: [
        tf.layers.flatten({ inputShape: [8, 8, 1] }),
        tf.layers.dense({ units, activation, biasInitializer: 'glorotNormal' }),
      ],
    });
  const { replica, executor } = await alone(
    engine,
    build,
    { evalBatchSize: 7, batchSize: 16, ...config },
    data,
  );
  const { metrics } = await evaluateAlone({ replica, executor }, 'test');
  const indices = Int32Array.from({ length: count }, (_, i) => i);
  const [inputs, labels] = [new Float32Array(count * 64), new Int32Array(count)];
  await data.test.fill(indices, { inputs: [inputs], targets: [labels] });
  const outputs = replica.model.predict(tf.tensor(inputs, [count, 8, 8, 1])) as ReturnType<typeof tf.tensor>;
  const probabilities =
    activation !== 'linear' ? outputs : units > 1 ? tf.softmax(outputs) : tf.sigmoid(outputs);
  const rows = (await probabilities.array()) as number[][];
  tf.disposeVariables();
  return { metrics, rows, labels: [...labels] };
}

interface Answer {
  readonly score: number;
  readonly isTrue: boolean;
}

/** Counts of the pairs of a positive and a negative sample; equal scores count as half. */
function areaByPairs(answers: readonly Answer[], bins: number): number {
  const scores = (wanted: boolean): number[] =>
    answers
      .filter(({ isTrue }) => isTrue === wanted)
      .map(({ score }) => Math.min(bins - 1, Math.floor(score * bins)));
  const [positive, negative] = [scores(true), scores(false)];
  let won = 0;
  for (const p of positive) for (const n of negative) won += p > n ? 1 : p === n ? 0.5 : 0;
  return won / positive.length / negative.length;
}

function ofOneClass(predicted: readonly boolean[], actual: readonly boolean[]) {
  const right = predicted.filter((one, i) => one && actual[i]).length;
  const [precision, recall] = [
    right / predicted.filter(Boolean).length,
    right / actual.filter(Boolean).length,
  ];
  return { precision, recall, f1: 2 / (1 / precision + 1 / recall) };
}

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b) / values.length;

describe.each([1, 4])('with %s shards', (shards) => {
  it.each(['softmax', 'linear'] as const)('classes after the activation %s', async (activation) => {
    const metrics: RunConfigInput['metrics'] = [
      'accuracy',
      'precision',
      'recall',
      'f1',
      { kind: 'precision', class: 1, name: 'precision1' },
      { kind: 'f1', average: 'micro', name: 'microF1' },
      { kind: 'recall', average: 'weighted', name: 'weightedRecall' },
      { kind: 'auc', bins: 50 },
      { kind: 'auc', class: 2, bins: 50, name: 'auc2' },
    ];
    const got = await evaluated(3, 3, activation, { shards, metrics });
    const predicted = got.rows.map((row) => row.indexOf(Math.max(...row)));
    const classes = [0, 1, 2].map((k) =>
      ofOneClass(
        predicted.map((one) => one === k),
        got.labels.map((one) => one === k),
      ),
    );
    const areas = [0, 1, 2].map((k) =>
      areaByPairs(
        got.rows.map((row, i) => ({ score: row[k] ?? 0, isTrue: got.labels[i] === k })),
        50,
      ),
    );
    const accuracy = predicted.filter((one, i) => one === got.labels[i]).length / count;
    expect(new Set(predicted).size).toBe(3);
    const expected: Record<string, number> = {
      accuracy,
      precision: mean(classes.map((one) => one.precision)),
      recall: mean(classes.map((one) => one.recall)),
      f1: mean(classes.map((one) => one.f1)),
      precision1: classes[1]?.precision ?? Number.NaN,
      // With one class per sample, the pooled F1 and the recall weighted by samples are the accuracy.
      microF1: accuracy,
      weightedRecall: accuracy,
      auc: mean(areas),
      auc2: areas[2] ?? Number.NaN,
    };
    expect(Object.keys(got.metrics)).toEqual(Object.keys(expected));
    for (const [name, value] of Object.entries(expected))
      expect(got.metrics[name], name).toBeCloseTo(value, 12);
  });

  it.each(['sigmoid', 'linear'] as const)(
    'one value of 0 or 1 after the activation %s',
    async (activation) => {
      const metrics: RunConfigInput['metrics'] = [
        'precision',
        'recall',
        'f1',
        { kind: 'recall', threshold: 0.3, name: 'recall3' },
        'auc',
      ];
      const got = await evaluated(2, 1, activation, { shards, metrics, loss: 'binaryCrossentropy' });
      const [scores, actual] = [got.rows.map(([p = 0]) => p), got.labels.map((one) => one === 1)];
      const at = (threshold: number) =>
        ofOneClass(
          scores.map((score) => score > threshold),
          actual,
        );
      const expected: Record<string, number> = {
        ...at(0.5),
        recall3: at(0.3).recall,
        auc: areaByPairs(
          scores.map((score, i) => ({ score, isTrue: actual[i] ?? false })),
          200,
        ),
      };
      expect(at(0.3).recall).toBeGreaterThan(at(0.5).recall);
      for (const [name, value] of Object.entries(expected))
        expect(got.metrics[name], name).toBeCloseTo(value, 12);
    },
  );
});

it('are 0 where nothing was predicted or nothing is there', () => {
  expect(scoreOf('precision', Float64Array.of(0, 0, 4))).toBe(0);
  expect(scoreOf('recall', Float64Array.of(0, 3, 0))).toBe(0);
  expect(scoreOf('f1', Float64Array.of(0, 0, 0))).toBe(0);
});

it.each<[string, RunConfigInput, RegExp]>([
  ['a loss of numbers', { loss: 'mse', metrics: ['f1'] }, /f1 needs an output with the loss softmax/],
  [
    'a class that is not there',
    { metrics: [{ kind: 'recall', class: 3 }] },
    /a class of recall below the 3 .*got 3/,
  ],
  ['too many counts', { metrics: [{ kind: 'auc', bins: 100_000_000 }] }, /bins|at most/],
])('refuses %s', async (_, config, message) => {
  await expect(
    evaluated(3, config.loss === 'mse' ? 1 : 3, 'linear', { shards: 1, ...config }),
  ).rejects.toThrow(message);
});
