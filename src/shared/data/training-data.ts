/**
 * What training needs of a data set: any sample by its index, in any order, as often as asked. That is what lets a shard
 * be computed by whichever worker owns it. Owns the interface and its implementation over image sets in memory.
 */

import type { ImageSet, TrainTest } from './dataset.js';
import { fillNormalized, type Normalization } from './normalize.js';

export interface DataSplit {
  readonly count: number;
  /** Shape of one sample, without the batch. */
  readonly sampleShape: readonly number[];
  /**
   * Writes the samples `indices`, one after the other, as float32 into `inputs`, and their class numbers into `labels`.
   * Must give the same values for the same index on every worker and every call.
   */
  fill(indices: Int32Array, inputs: Float32Array, labels: Int32Array): void;
}

export interface TrainingData {
  readonly name: string;
  /** Identifies the data: workers of one run must agree on it. */
  readonly sha256: string;
  readonly classCount: number;
  readonly train: DataSplit;
  readonly test: DataSplit;
}

/** Images in memory as bytes; they become float only in the batch that uses them. */
export function imageData(set: TrainTest, normalization: Normalization): TrainingData {
  const split = (images: ImageSet): DataSplit => ({
    count: images.count,
    sampleShape: [images.height, images.width, images.channels],
    fill: (indices, inputs, labels) => {
      fillNormalized(inputs, images, indices, normalization);
      for (let i = 0; i < indices.length; i++) labels[i] = images.labels[indices[i] ?? 0] ?? 0;
    },
  });
  return {
    name: set.name,
    sha256: set.sha256,
    classCount: set.train.classCount,
    train: split(set.train),
    test: split(set.test),
  };
}
