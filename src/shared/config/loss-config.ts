/** Schemas of losses. They are plain data; the user's functions appear as `custom`. */

import { z } from 'zod';
import { isRecord } from './is-record.js';
import { finite } from './numbers.js';
import { lossOfTfjsName, type TfjsLossName } from './tfjs-names.js';

/** Weight of this output's loss in the sum over all outputs. */
const weight = finite.positive().default(1);

/** Losses with tfjs's names and formulas, which tfjs differentiates. */
export const formulaLosses = [
  'hinge',
  'squaredHinge',
  'categoricalHinge',
  'logcosh',
  'poisson',
  'kullbackLeiblerDivergence',
  'meanAbsolutePercentageError',
  'meanSquaredLogarithmicError',
  'cosineProximity',
] as const;
export type FormulaLoss = (typeof formulaLosses)[number];

const lossNames = [
  'softmaxCrossEntropy',
  'binaryCrossEntropy',
  'meanSquaredError',
  'meanAbsoluteError',
  'huber',
  ...formulaLosses,
] as const;
const lossName = z.enum(lossNames);

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
  z.strictObject({ kind: z.enum(formulaLosses), weight }),
  z.strictObject({ kind: z.literal('custom'), weight }),
]);

const named = z.union([lossName, outputLossSchema]);

/** Takes tfjs's names as well, e.g. `categoricalCrossentropy`. */
const oneLoss = z.preprocess<unknown, typeof named, z.input<typeof named> | TfjsLossName>(withOwnName, named);

/** Replaces tfjs's name of a loss, alone or as a kind, by Lockstep's. */
function withOwnName(value: unknown): unknown {
  if (typeof value === 'string') return lossOfTfjsName(value)?.kind ?? value;
  if (!isRecord(value) || typeof value['kind'] !== 'string') return value;
  return { ...value, kind: lossOfTfjsName(value['kind'])?.kind ?? value['kind'] };
}

export const lossSchema = z.union([oneLoss, z.record(z.string().min(1).max(256), oneLoss)], {
  error: `must be one of ${lossNames.join(', ')}, such a { kind, ... }, or one for each output of the model by its name`,
});

export type LossName = (typeof lossNames)[number];
export type OutputLossConfig = z.infer<typeof outputLossSchema>;
export type LossConfig = z.infer<typeof lossSchema>;
export type OutputLossInput = z.input<typeof outputLossSchema>;

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
