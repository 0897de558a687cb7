/** Opens the training set of a replica for a generation. */

import { Sampler } from '../../shared/data/sampler.js';
import type { Replica } from '../training/replica.js';
import { createAugment } from './augmentation.js';
import { BatchReader } from './batch-reader.js';

export interface TrainingSamples {
  readonly sampler: Sampler;
  readonly reader: BatchReader;
}

/** @throws ConfigError if an augmentation is configured that does not fit the data */
export function openSamples({
  config,
  data,
  functions,
}: Pick<Replica, 'config' | 'data' | 'functions'>): TrainingSamples {
  const sampler = new Sampler({
    seed: config.seed,
    count: data.train.count,
    batchSize: config.batchSize,
    shards: config.shards,
    microBatches: config.accumulate,
    shuffle: config.shuffle,
  });
  const augment = createAugment(config, data.train, functions.augmentations);
  return { sampler, reader: new BatchReader(data.train, sampler, augment) };
}
