/**
 * What training needs of a data set: any sample by its index, in any order, as often as asked. That is what lets a shard be
 * computed by whichever worker owns it, a lost worker's part be taken over, and a run go on in mid-epoch; a stream that can only
 * be read from its beginning allows none of these. Owns the interface and its implementation over image sets in memory.
 */

import type { ImageSet, TrainTest } from './dataset.js';
import { fillNormalized, type Normalization } from './normalize.js';

/** One tensor of a sample: an input of the model, or the target of one of its outputs. */
export interface TensorSpec {
  /** Of one sample, without the batch; [] is a single number. */
  readonly shape: readonly number[];
  readonly dtype: 'float32' | 'int32';
  /** Of class numbers: how many there are. */
  readonly classes?: number;
  /** Of class numbers: what each is called, in their order. Only shown, never computed with. */
  readonly classNames?: readonly string[];
  /** Of pictures [height, width, channels]: what lies beyond the edge when one is shifted or turned; 0 if left out. */
  readonly background?: number;
}

export type TensorValues = Float32Array | Int32Array;

/** Room for a number of samples, one after the other: an array for each input and each target. */
export interface SampleBuffers {
  readonly inputs: readonly TensorValues[];
  readonly targets: readonly TensorValues[];
}

export interface DataSplit {
  readonly count: number;
  /** In the order of the model's inputs and outputs. */
  readonly inputs: readonly TensorSpec[];
  readonly targets: readonly TensorSpec[];
  /**
   * Writes the samples `indices`, one after the other. Must give the same values for the same index on every worker, every
   * time, whatever else is asked for: no state, no clock, no `Math.random`.
   */
  fill(indices: Int32Array, into: SampleBuffers): void | Promise<void>;
}

export interface TrainingData {
  readonly name: string;
  /** Identifies the data: workers of one run must agree on it. */
  readonly sha256: string;
  readonly train: DataSplit;
  readonly test: DataSplit;
}

/** Images in memory as bytes; they become float only in the batch that uses them. */
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
    };
  };
  return { name: set.name, sha256: set.sha256, train: split(set.train), test: split(set.test) };
}
