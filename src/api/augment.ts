/** Augmentation in a training definition: plain objects, or functions of one's own. */

import type { AugmentInput } from '../shared/config/augment-config.js';
import type { TensorValues } from '../shared/data/training-data.js';

/** Draws of one sample in one epoch: the same whichever worker reads it. */
export interface Draws {
  /** Uniform over [0, 1). */
  unit(): number;
  /** Uniform over 0..bound-1. */
  below(bound: number): number;
}

/** One sample of the training set, as views: what is written into them is what is trained on. */
export interface SampleToAugment {
  readonly inputs: readonly TensorValues[];
  readonly targets: readonly TensorValues[];
  readonly random: Draws;
  /** Counts from 0. */
  readonly epoch: number;
  /** In the training set. */
  readonly index: number;
}

/** Changes a sample in place; may draw from `random` alone, and keep nothing. */
export type AugmentFunction = (sample: SampleToAugment) => void;

export type Augmentation = Exclude<AugmentInput, { kind: 'custom' }> | AugmentFunction;
