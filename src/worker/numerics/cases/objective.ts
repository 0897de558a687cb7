/** Losses and metrics of each kind, and what an evaluation and a prediction take from the outputs. */

import type { Rank } from '@tensorflow/tfjs-core';
import {
  formulaLosses,
  outputLossSchema,
  type OutputLossConfig,
} from '../../../shared/config/loss-config.js';
import { isCountMetric, metricObject } from '../../../shared/config/metric-config.js';
import { createCountMetric } from '../../objective/count-metrics.js';
import { createLoss } from '../../objective/losses.js';
import { createMetric } from '../../objective/metrics.js';
import { normal, times, type NumericsCase, type NumericsContext } from '../numerics-case.js';

const shapes = [
  [1, 10],
  [7, 17],
] as const;

const losses: readonly OutputLossConfig[] = [
  { kind: 'softmaxCrossEntropy' },
  { kind: 'softmaxCrossEntropy', labelSmoothing: 0.1 },
  { kind: 'binaryCrossEntropy' },
  { kind: 'meanSquaredError' },
  { kind: 'meanAbsoluteError' },
  { kind: 'huber', delta: 0.7 },
  ...formulaLosses.map((kind) => ({ kind })),
].map((loss) => outputLossSchema.parse(loss));

const metrics = [
  { kind: 'accuracy' },
  { kind: 'topK', k: 2 },
  { kind: 'meanAbsoluteError' },
  { kind: 'meanSquaredError' },
  { kind: 'f1', threshold: 0.5 },
  { kind: 'auc', bins: 200 },
] as const;

const ofBinary = [{ kind: 'accuracy' }, { kind: 'f1', threshold: 0.5 }, { kind: 'auc', bins: 200 }] as const;

export function objectiveCases(context: NumericsContext): NumericsCase[] {
  return shapes.flatMap((shape) => [
    ...losses.map((loss) => lossCase(context, loss, shape)),
    ...metrics.map((metric) => metricCase(context, metric, 'softmaxCrossEntropy', shape)),
    ...ofBinary.map((metric) => metricCase(context, metric, 'binaryCrossEntropy', shape)),
  ]);
}

type Shape = (typeof shapes)[number];

function lossCase({ tf, kernels }: NumericsContext, loss: OutputLossConfig, shape: Shape): NumericsCase {
  const smoothing = loss.kind === 'softmaxCrossEntropy' && loss.labelSmoothing > 0;
  return {
    operation: `loss ${loss.kind}${smoothing ? ' with label smoothing' : ''}`,
    shapes: times(shape),
    precision: 'float32',
    prepare: () => {
      const { prediction, labels, values } = dataOf(tf, shape);
      const compute = createLoss(tf, kernels.float32, loss, undefined);
      // Several formulas take the logarithm of the prediction.
      const positive = formulaLosses.some((kind) => kind === loss.kind);
      const given = positive ? tf.sigmoid(prediction) : prediction;
      const target = loss.kind === 'softmaxCrossEntropy' ? labels : values;
      return () => {
        const { sum, gradient } = compute(given, target);
        return [Float64Array.of(sum), gradient];
      };
    },
  };
}

function metricCase(
  { tf }: NumericsContext,
  metric: (typeof metrics)[number],
  lossKind: 'softmaxCrossEntropy' | 'binaryCrossEntropy',
  shape: Shape,
): NumericsCase {
  const binary = lossKind === 'binaryCrossEntropy' ? ' of a binary output' : '';
  return {
    operation: `metric ${metric.kind}${binary}`,
    shapes: times(shape),
    precision: 'float32',
    prepare: () => {
      const { prediction, labels, values } = dataOf(tf, shape);
      const config = metricObject(metric);
      const loss = outputLossSchema.parse({ kind: lossKind });
      if (isCountMetric(config)) {
        const output = { name: 'output', units: shape[1], loss, form: 'asIs' } as const;
        const { count } = createCountMetric(tf, config, output);
        return () => [count(prediction, binary === '' ? labels : values)];
      }
      const measure = createMetric(tf, config, loss, undefined);
      const classes = binary === '' && (metric.kind === 'accuracy' || metric.kind === 'topK');
      return () => [Float64Array.of(measure(prediction, classes ? labels : values))];
    },
  };
}

function dataOf(tf: NumericsContext['tf'], [rows, classes]: Shape) {
  return {
    prediction: normal<Rank.R2>(tf, [rows, classes], 1),
    labels: tf.tensor1d(
      Array.from({ length: rows }, (_, i) => i % classes),
      'int32',
    ),
    values: tf.sigmoid(normal<Rank.R2>(tf, [rows, classes], 2)),
  };
}
