/** The counterparts of tfjs's names of losses and metrics. */

interface LossCounterpart {
  /** Lockstep's name of the loss. */
  readonly kind: string;
  /** The activation before a loss of probabilities. */
  readonly activation?: 'softmax' | 'sigmoid';
}

export const tfjsLosses = {
  categoricalCrossentropy: { kind: 'softmaxCrossEntropy', activation: 'softmax' },
  sparseCategoricalCrossentropy: { kind: 'softmaxCrossEntropy', activation: 'softmax' },
  binaryCrossentropy: { kind: 'binaryCrossEntropy', activation: 'sigmoid' },
  meanSquaredError: { kind: 'meanSquaredError' },
  mse: { kind: 'meanSquaredError' },
  MSE: { kind: 'meanSquaredError' },
  meanAbsoluteError: { kind: 'meanAbsoluteError' },
  mae: { kind: 'meanAbsoluteError' },
  MAE: { kind: 'meanAbsoluteError' },
  hinge: { kind: 'hinge' },
  squaredHinge: { kind: 'squaredHinge' },
  categoricalHinge: { kind: 'categoricalHinge' },
  logcosh: { kind: 'logcosh' },
  poisson: { kind: 'poisson' },
  kullbackLeiblerDivergence: { kind: 'kullbackLeiblerDivergence' },
  kld: { kind: 'kullbackLeiblerDivergence' },
  KLD: { kind: 'kullbackLeiblerDivergence' },
  meanAbsolutePercentageError: { kind: 'meanAbsolutePercentageError' },
  mape: { kind: 'meanAbsolutePercentageError' },
  MAPE: { kind: 'meanAbsolutePercentageError' },
  meanSquaredLogarithmicError: { kind: 'meanSquaredLogarithmicError' },
  msle: { kind: 'meanSquaredLogarithmicError' },
  MSLE: { kind: 'meanSquaredLogarithmicError' },
  cosineProximity: { kind: 'cosineProximity' },
  cosine: { kind: 'cosineProximity' },
} as const satisfies Readonly<Record<string, LossCounterpart>>;

export const tfjsMetrics = {
  acc: 'accuracy',
  accuracy: 'accuracy',
  binaryAccuracy: 'accuracy',
  categoricalAccuracy: 'accuracy',
  sparseCategoricalAccuracy: 'accuracy',
  meanSquaredError: 'meanSquaredError',
  mse: 'meanSquaredError',
  MSE: 'meanSquaredError',
  meanAbsoluteError: 'meanAbsoluteError',
  mae: 'meanAbsoluteError',
  MAE: 'meanAbsoluteError',
  precision: 'precision',
  recall: 'recall',
} as const;

export type TfjsLossName = keyof typeof tfjsLosses;
export type TfjsMetricName = keyof typeof tfjsMetrics;

/** Returns undefined for a name that tfjs does not have, or that has no counterpart. */
export function lossOfTfjsName(name: string): LossCounterpart | undefined {
  return Object.hasOwn(tfjsLosses, name) ? tfjsLosses[name as TfjsLossName] : undefined;
}

/** Returns undefined for a name that tfjs does not have, or that has no counterpart. */
export function metricOfTfjsName(name: string): (typeof tfjsMetrics)[TfjsMetricName] | undefined {
  return Object.hasOwn(tfjsMetrics, name) ? tfjsMetrics[name as TfjsMetricName] : undefined;
}
