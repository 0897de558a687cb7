/** Augmentations in a training definition: plain objects, or custom functions. */

import type { AugmentInput } from '../shared/config/augment-config.js';
import type { TensorValues } from '../shared/data/training-data.js';

/** Random numbers for one sample in one epoch; they are the same on every worker. */
export interface Draws {
  /** Uniform over [0, 1). */
  unit(): number;
  /** Uniform over 0..bound-1. */
  below(bound: number): number;
}

/** One sample of the training set, as views of the batch: changes are used for training. */
export interface SampleToAugment {
  readonly inputs: readonly TensorValues[];
  readonly targets: readonly TensorValues[];
  readonly random: Draws;
  /** Counts from 0. */
  readonly epoch: number;
  /** Index in the training set. */
  readonly index: number;
}

/** Changes a sample in place. It may use randomness from `random` only, and must not keep state. */
export type AugmentFunction = (sample: SampleToAugment) => void;

export type Augmentation = Exclude<AugmentInput, { kind: 'custom' }> | AugmentFunction;
