/** Schemas of optimizers, with PyTorch's names and defaults, and of the moving average of weights. */

import { z } from 'zod';
import { isRecord } from './is-record.js';
import { finite } from './numbers.js';

const adamFields = {
  /** Learning rate before the schedule. Default: 0.001, of adamax 0.002. */
  learningRate: finite.positive().default(0.001),
  /** Weight of the earlier mean of the gradient. Default: 0.9. */
  beta1: finite.min(0).lt(1).default(0.9),
  /** Weight of the earlier mean square of the gradient, or of its maximum. Default: 0.999. */
  beta2: finite.min(0).lt(1).default(0.999),
  /** Added to the divisor. Default: 1e-8, with `arithmetic: 'tfjs'` 1e-7. */
  epsilon: finite.positive().default(1e-8),
};

/** Parameters that decay: all, as in PyTorch, or those with at least two dimensions (no biases, no BatchNorm). */
const weightDecayOf = z.enum(['all', 'kernels']).default('all');

/** Added to the gradient (L2). */
const weightDecay = finite.min(0).default(0);

/**
 * The rule where PyTorch and tfjs differ: tfjs adds epsilon under the root, and its adadelta divides by the mean square before the step.
 * The default is that of the run's `arithmetic`.
 */
const arithmetic = z.enum(['pytorch', 'tfjs']).default('pytorch');

const kinds = z.discriminatedUnion('kind', [
  z.strictObject({
    /** Adam (Kingma & Ba 2015), as torch.optim.Adam. */
    kind: z.literal('adam'),
    ...adamFields,
    /** Added to the gradient (L2), as torch.optim.Adam has it. */
    weightDecay: finite.min(0).default(0),
    /** Parameters that decay: `all` (the default), or `kernels`, those with at least two dimensions. */
    weightDecayOf,
  }),
  z.strictObject({
    /** Adam with decoupled weight decay (Loshchilov & Hutter 2019), as torch.optim.AdamW. */
    kind: z.literal('adamw'),
    ...adamFields,
    /** Decoupled: the parameter shrinks by learningRate * weightDecay per step, independently of its gradient. */
    weightDecay: finite.min(0).default(0.01),
    /** Parameters that decay: `all` (the default), or `kernels`, those with at least two dimensions. */
    weightDecayOf,
  }),
  z
    .strictObject({
      /** Gradient descent with momentum, as torch.optim.SGD. */
      kind: z.literal('sgd'),
      /** Learning rate before the schedule. */
      learningRate: finite.positive().default(0.01),
      /** Weight of the earlier steps. Default: 0, no momentum. */
      momentum: finite.min(0).lt(1).default(0),
      /** Share of the gradient that is left out of the momentum. Default: 0. */
      dampening: finite.min(0).max(1).default(0),
      /** Nesterov's momentum. Default: false. */
      nesterov: z.boolean().default(false),
      /** Added to the gradient (L2). */
      weightDecay: finite.min(0).default(0),
      /** Parameters that decay: `all` (the default), or `kernels`, those with at least two dimensions. */
      weightDecayOf,
    })
    .refine(({ nesterov, momentum, dampening }) => !nesterov || (momentum > 0 && dampening === 0), {
      message: 'nesterov needs a momentum above 0 and no dampening',
      path: ['nesterov'],
    }),
  z.strictObject({
    /** RMSProp, as torch.optim.RMSprop or, with tfjs's arithmetic, tf.train.rmsprop. */
    kind: z.literal('rmsprop'),
    /** Learning rate before the schedule. */
    learningRate: finite.positive().default(0.01),
    /** Weight of the earlier mean square; `alpha` in PyTorch. */
    decay: finite.min(0).lt(1).default(0.99),
    /** Weight of the earlier steps. Default: 0, no momentum. */
    momentum: finite.min(0).lt(1).default(0),
    /** Added to the divisor. */
    epsilon: finite.positive().default(1e-8),
    /** Divides by the root of the variance instead of the root of the mean square. */
    centered: z.boolean().default(false),
    /** Rule where PyTorch and tfjs differ. Default: the run's `arithmetic`. */
    arithmetic,
    /** Added to the gradient (L2). Default: 0. */
    weightDecay,
    /** Parameters that decay: `all` (the default), or `kernels`, those with at least two dimensions. */
    weightDecayOf,
  }),
  z.strictObject({
    /** Adagrad, as torch.optim.Adagrad or, with tfjs's arithmetic, tf.train.adagrad. */
    kind: z.literal('adagrad'),
    /** Learning rate before the schedule. */
    learningRate: finite.positive().default(0.01),
    /** Value of the sum of squares before the first step. */
    initialAccumulatorValue: finite.min(0).default(0),
    /** Added to the divisor. */
    epsilon: finite.positive().default(1e-10),
    /** Rule where PyTorch and tfjs differ. Default: the run's `arithmetic`. */
    arithmetic,
    /** Added to the gradient (L2). Default: 0. */
    weightDecay,
    /** Parameters that decay: `all` (the default), or `kernels`, those with at least two dimensions. */
    weightDecayOf,
  }),
  z.strictObject({
    /** Adadelta, as torch.optim.Adadelta or, with tfjs's arithmetic, tf.train.adadelta. */
    kind: z.literal('adadelta'),
    /** Learning rate before the schedule. */
    learningRate: finite.positive().default(1),
    /** Weight of the earlier mean squares. Default: 0.9. */
    rho: finite.min(0).lt(1).default(0.9),
    /** Added to the divisor. */
    epsilon: finite.positive().default(1e-6),
    /** Rule where PyTorch and tfjs differ. Default: the run's `arithmetic`. */
    arithmetic,
    /** Added to the gradient (L2). Default: 0. */
    weightDecay,
    /** Parameters that decay: `all` (the default), or `kernels`, those with at least two dimensions. */
    weightDecayOf,
  }),
  z.strictObject({
    /** Adamax, as torch.optim.Adamax or, with tfjs's arithmetic, tf.train.adamax. */
    kind: z.literal('adamax'),
    ...adamFields,
    /** Learning rate before the schedule. */
    learningRate: finite.positive().default(0.002),
    /** Rule where PyTorch and tfjs differ. Default: the run's `arithmetic`. */
    arithmetic,
    /** Added to the gradient (L2). Default: 0. */
    weightDecay,
    /** Parameters that decay: `all` (the default), or `kernels`, those with at least two dimensions. */
    weightDecayOf,
  }),
]);

type KindsInput = z.input<typeof kinds>;
export type OptimizerName = KindsInput['kind'];

/** The defaults of tfjs that differ from PyTorch's, which apply with tfjs's arithmetic. */
const defaultsOfTfjs: Readonly<Partial<Record<OptimizerName, Readonly<Record<string, unknown>>>>> = {
  adam: { epsilon: 1e-7 },
  adamw: { epsilon: 1e-7 },
  rmsprop: { arithmetic: 'tfjs', learningRate: 0.001, decay: 0.9, epsilon: 1e-7 },
  adagrad: { arithmetic: 'tfjs', initialAccumulatorValue: 0.1, epsilon: 1e-7 },
  adadelta: { arithmetic: 'tfjs', rho: 0.95, epsilon: 1e-7 },
  adamax: { arithmetic: 'tfjs', epsilon: 1e-7 },
};

/** Returns the optimizer that a name stands for, in lower case or as tfjs writes it (`RMSProp`); other values as they are. */
export function namedOptimizer(value: unknown): unknown {
  return typeof value === 'string' ? { kind: value.toLowerCase() } : value;
}

/** Fills in tfjs's defaults. A value that is no optimizer is returned as it is; the schema reports it. */
export function withDefaultsOfTfjs(value: unknown): unknown {
  const optimizer = namedOptimizer(value);
  if (!isRecord(optimizer)) return value;
  return { ...defaultsOfTfjs[optimizer['kind'] as OptimizerName], ...optimizer };
}

export const optimizerSchema = z.preprocess<unknown, typeof kinds, KindsInput | OptimizerName>(
  namedOptimizer,
  kinds,
);

export const averageSchema = z.strictObject({
  /** average = decay * average + (1 - decay) * weights, each step. */
  decay: finite.min(0).lt(1),
  /** Starts with a lower decay, (1 + t) / (10 + t) at step t, so that early weights are soon forgotten. */
  warmup: z.boolean().default(true),
});

export type OptimizerConfig = z.infer<typeof optimizerSchema>;
export type AverageConfig = z.infer<typeof averageSchema>;
