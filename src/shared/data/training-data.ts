/**
 * The interface of a data set and its implementation for image sets in memory. Any sample can be read by its index, in any order and
 * repeatedly. Therefore a shard can be computed by any worker, also after another one was lost, and a run can resume in the middle of an
 * epoch; a stream that can only be read from its beginning would not allow this.
 */

import type { ImageSet, TrainTest } from './dataset.js';
import { fillNormalized, type Normalization } from './normalize.js';
import type { Preprocessing } from './preprocessing.js';

/** One tensor of a sample: an input of the model, or the target of one of its outputs. */
export interface TensorSpec {
  /** Shape of one sample, without the batch dimension; [] is a single number. */
  readonly shape: readonly number[];
  readonly dtype: 'float32' | 'int32';
  /** Number of classes, if the values are class numbers. */
  readonly classes?: number;
  /** Class names in order of class number. For display only. */
  readonly classNames?: readonly string[];
  /** For pictures [height, width, channels], the value beyond the edge when one is shifted or rotated; default 0. */
  readonly background?: number;
}

export type TensorValues = Float32Array | Int32Array;

/**
 * Buffers for a number of samples, one after the other: one array for each input and each target. The buffer of an int32 tensor may be
 * a Float64Array, so that a fraction or a number beyond 32 bits is refused instead of truncated.
 */
export interface SampleBuffers {
  readonly inputs: readonly (TensorValues | Float64Array)[];
  readonly targets: readonly (TensorValues | Float64Array)[];
}

export interface DataSplit {
  readonly count: number;
  /** In the order of the model's inputs and outputs. */
  readonly inputs: readonly TensorSpec[];
  readonly targets: readonly TensorSpec[];
  /**
   * Writes the samples `indices`, one after the other. Must write the same values for the same index on every worker and at every call,
   * so it must not depend on state, time or `Math.random`.
   */
  fill(indices: Int32Array, into: SampleBuffers): void | Promise<void>;
  /** Set if every value was checked against its description when the data were loaded; otherwise each read is checked. */
  readonly verified?: true;
  /** Names the origin of a sample in error messages, for example a file and a line. */
  origin?(index: number): string;
}

export interface TrainingData {
  readonly name: string;
  /** Identifies the data; must be the same on all workers of a run. */
  readonly sha256: string;
  readonly train: DataSplit;
  /** Has no samples if the source has no test set. */
  readonly test: DataSplit;
  /** Sentences about what the source left out or replaced; printed once per run. */
  readonly notes?: readonly string[];
  /** The conversion of a file to an input; saved with the model, so that `predict` does the same. */
  readonly preprocessing?: Preprocessing;
}

/** The data of a source. Without a test set, nothing but the training set is evaluated. */
export interface SourceData extends Omit<TrainingData, 'test'> {
  readonly test?: DataSplit;
}

/** Returns the data with a test set, which is empty if the source has none. */
export function withTestSet({ test, ...data }: SourceData): TrainingData {
  const { inputs, targets } = data.train;
  return { ...data, test: test ?? { count: 0, inputs, targets, fill: () => undefined, verified: true } };
}

/** The same split with another `fill`. */
export function withFill(split: DataSplit, fill: DataSplit['fill']): DataSplit {
  const { count, inputs, targets, verified } = split;
  return {
    count,
    inputs,
    targets,
    fill,
    ...(verified === true ? { verified } : {}),
    ...(split.origin ? { origin: (index: number) => split.origin?.(index) ?? '' } : {}),
  };
}

/** A data set over images in memory. Pixels remain bytes and are converted batch by batch. */
export function imageData(set: TrainTest, normalization: Normalization): TrainingData {
  const split = (images: ImageSet): DataSplit => {
    const { count, height, width, channels, labels, classCount } = images;
    const { mean, std } = normalization;
    return {
      count,
      inputs: [{ shape: [height, width, channels], dtype: 'float32', background: (0 - mean) / std }],
      targets: [{ shape: [], dtype: 'int32', classes: classCount }],
      fill: (indices, { inputs: [pixels], targets: [classes] }) => {
        fillNormalized(pixels as Float32Array, images, indices, normalization);
        for (const [i, index] of indices.entries()) if (classes) classes[i] = labels[index] ?? 0;
      },
      verified: true,
    };
  };
  return { name: set.name, sha256: set.sha256, train: split(set.train), test: split(set.test) };
}
