/** Data in MNIST's IDX format as a data source, e.g. for `holdOut`. */

import { loadIdxDirectory, loadMnist } from '../../shared/data/dataset.js';
import type { Normalization } from '../../shared/data/normalize.js';
import { imageData, type TrainingData } from '../../shared/data/training-data.js';
import type { DataSource } from '../define-training.js';
import { checkNormalization, checkOptionNames } from './known-options.js';

export interface IdxOptions {
  /** Folder with the four IDX files; MNIST by default. */
  readonly folder?: string;
  /** Pixels become (x / 255 - mean) / std; by default with mean 0.5 and std 0.5. */
  readonly normalize?: Normalization;
}

export function idx(options: IdxOptions = {}): DataSource<TrainingData> {
  checkOptionNames('idx', options, ['folder', 'normalize']);
  const { folder, normalize = { mean: 0.5, std: 0.5 } } = options;
  checkNormalization('idx', normalize);
  return {
    load: async () =>
      imageData(await (folder === undefined ? loadMnist() : loadIdxDirectory(folder)), normalize),
  };
}
