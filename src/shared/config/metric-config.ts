/** Schemas of metrics. They are plain data; the user's functions appear as `custom`. */

import { z } from 'zod';
import { isRecord } from './is-record.js';
import { finite, positiveInt } from './numbers.js';
import { metricOfTfjsName, type TfjsMetricName } from './tfjs-names.js';

const meanNames = ['accuracy', 'meanAbsoluteError', 'meanSquaredError'] as const;
const countNames = ['precision', 'recall', 'f1'] as const;
const ownName = z.enum([...meanNames, ...countNames, 'auc']);
const name = z.string().regex(/^[\w.-]{1,64}$/, 'must be 1 to 64 letters, digits, dots or dashes');

const common = {
  name: name.optional(),
  /** Name of the output, for a model with several outputs. */
  output: z.string().min(1).max(256).optional(),
};

const ofClasses = {
  ...common,
  /** A single class, or a single unit of an output for binaryCrossEntropy; all of them by default. */
  class: z.int().min(0).max(1_000_000).optional(),
  /**
   * Combination of the classes: `macro`, the mean of their values; `weighted`, their mean by number of samples; `micro`, the value of
   * all counts together. The default is `macro` for softmaxCrossEntropy and `micro` for binaryCrossEntropy.
   */
  average: z.enum(['macro', 'micro', 'weighted']).optional(),
};

const objects = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.enum(meanNames), ...common }),
  z.strictObject({ kind: z.literal('topK'), k: positiveInt(100_000), ...common }),
  z.strictObject({
    kind: z.enum(countNames),
    ...ofClasses,
    /** Probability above which a value of binaryCrossEntropy counts as class 1. */
    threshold: finite.gt(0).lt(1).default(0.5),
  }),
  /** Area under the receiver operating characteristic, one class against the others, from a histogram of the probabilities. */
  z.strictObject({
    kind: z.literal('auc'),
    ...ofClasses,
    /** Number of bins of the histogram. Probabilities in one bin count as equal. */
    bins: z.int().min(2).max(100_000).default(200),
  }),
  z.strictObject({ kind: z.literal('custom'), ...common, name }),
]);

const either = z.union([ownName, objects], {
  error: `must be one of ${ownName.options.join(', ')}, such a { kind, ... }, { kind: 'topK', k: 5 }, or { name, compute }`,
});

/** Takes tfjs's names as well, e.g. `acc`. */
export const metricSchema = z.preprocess<
  unknown,
  typeof either,
  MetricName | TfjsMetricName | z.input<typeof objects>
>(withOwnName, either);

function withOwnName(value: unknown): unknown {
  if (typeof value === 'string') return metricOfTfjsName(value) ?? value;
  if (!isRecord(value) || typeof value['kind'] !== 'string') return value;
  return { ...value, kind: metricOfTfjsName(value['kind']) ?? value['kind'] };
}

export type MetricName = z.infer<typeof ownName>;
export type MetricConfig = z.infer<typeof metricSchema>;
export type MetricObject = z.infer<typeof objects>;
export type MetricInput = z.input<typeof metricSchema>;
/** A metric that is the mean of a value per sample. */
export type MeanMetricConfig = Exclude<MetricObject, { kind: 'precision' | 'recall' | 'f1' | 'auc' }>;
/** A metric that is computed from counts over all samples. */
export type CountMetricConfig = Exclude<MetricObject, MeanMetricConfig>;

/** A metric with all of its fields. */
export function metricObject(metric: MetricConfig): MetricObject {
  return typeof metric === 'string' ? objects.parse({ kind: metric }) : metric;
}

export function isCountMetric(metric: MetricObject): metric is CountMetricConfig {
  return metric.kind === 'auc' || countNames.some((kind) => kind === metric.kind);
}
