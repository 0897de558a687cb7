/**
 * The part of a training definition that `fit` adds, which no other definition has: the state of the optimizer with which the training
 * begins, and the permission to begin an epoch.
 */

/** The state of an optimizer that has made updates before. */
export interface OptimizerState {
  /** Number of updates so far. */
  readonly updates: number;
  /** Values of each trainable weight, in the order of the model's trainable weights, by the name of the optimizer's vector. */
  readonly vectors: Readonly<Record<string, readonly Float32Array[]>>;
}

export interface TrainingHooks {
  readonly optimizerState?: OptimizerState;
  /**
   * Called on every worker before each epoch but the first, again and again while it returns `wait`. Must return the same decision on
   * every worker. `stop` ends the run as early stopping does.
   * @param epoch counts from 0
   */
  readonly beforeEpoch?: (epoch: number) => 'wait' | 'begin' | 'stop';
}

const hooks = Symbol.for('lockstep.hooks');

/** Adds hooks to a definition. */
export function withHooks<T extends object>(definition: T, added: TrainingHooks): T {
  return Object.freeze({ ...definition, [hooks]: added });
}

/** Returns the hooks of a definition; undefined if it has none. */
export function hooksOf(definition: object): TrainingHooks | undefined {
  return (definition as { readonly [hooks]?: TrainingHooks })[hooks];
}
