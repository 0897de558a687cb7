/** Schemas of losses and metrics. They are plain data; the user's functions appear as `custom`. */

import { z } from 'zod';
import { finite, positiveInt } from './numbers.js';

/** Weight of this output's loss in the sum over all outputs. */
const weight = finite.positive().default(1);

const lossNames = [
  'softmaxCrossEntropy',
  'binaryCrossEntropy',
  'meanSquaredError',
  'meanAbsoluteError',
  'huber',
] as const;

export const outputLossSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('softmaxCrossEntropy'),
    /** Fraction of the target that is distributed evenly over all classes. */
    labelSmoothing: finite.min(0).lt(1).default(0),
    weight,
  }),
  z.strictObject({ kind: z.literal('binaryCrossEntropy'), weight }),
  z.strictObject({ kind: z.literal('meanSquaredError'), weight }),
  z.strictObject({ kind: z.literal('meanAbsoluteError'), weight }),
  z.strictObject({
    kind: z.literal('huber'),
    /** Errors up to this size are squared, larger ones are linear. */
    delta: finite.positive().default(1),
    weight,
  }),
  z.strictObject({ kind: z.literal('custom'), weight }),
]);

const oneLoss = z.union([z.enum(lossNames), outputLossSchema]);

export const lossSchema = z.union([oneLoss, z.record(z.string().min(1).max(256), oneLoss)], {
  error: `must be one of ${lossNames.join(', ')}, such a { kind, ... }, or one for each output of the model by its name`,
});

const metricNames = ['accuracy', 'meanAbsoluteError', 'meanSquaredError'] as const;
const metricName = z.string().regex(/^[\w.-]{1,64}$/, 'must be 1 to 64 letters, digits, dots or dashes');
/** Name of the output, for a model with several outputs. */
const output = z.string().min(1).max(256).optional();

export const metricSchema = z.union(
  [
    z.enum(metricNames),
    z.strictObject({ kind: z.enum(metricNames), name: metricName.optional(), output }),
    z.strictObject({ kind: z.literal('topK'), k: positiveInt(100_000), name: metricName.optional(), output }),
    z.strictObject({ kind: z.literal('custom'), name: metricName, output }),
  ],
  { error: `must be ${metricNames.join(', ')}, { kind: 'topK', k: 5 }, or { name, compute }` },
);

export type LossName = (typeof lossNames)[number];
export type OutputLossConfig = z.infer<typeof outputLossSchema>;
export type LossConfig = z.infer<typeof lossSchema>;
export type MetricConfig = z.infer<typeof metricSchema>;
export type OutputLossInput = z.input<typeof outputLossSchema>;
export type MetricInput = z.input<typeof metricSchema>;

/** Returns the loss of each of the model's outputs, in order; undefined for an output without a loss. */
export function lossOfOutputs(
  loss: LossConfig,
  outputs: readonly string[],
): (OutputLossConfig | undefined)[] {
  const filled = (one: LossName | OutputLossConfig): OutputLossConfig =>
    typeof one === 'string' ? outputLossSchema.parse({ kind: one }) : one;
  if (typeof loss === 'string' || isOutputLoss(loss)) return outputs.map(() => filled(loss));
  return outputs.map((name) => {
    const one = loss[name];
    return one === undefined ? undefined : filled(one);
  });
}

/** Returns the outputs that have a loss by name; empty if one loss applies to all outputs. */
export function namedOutputs(loss: LossConfig): string[] {
  return typeof loss === 'string' || isOutputLoss(loss) ? [] : Object.keys(loss);
}

function isOutputLoss(loss: Exclude<LossConfig, string>): loss is OutputLossConfig {
  return outputLossSchema.safeParse(loss).success;
}
