/** Data in MNIST's format, as a source that others can be made from. */

import { loadIdxDirectory, loadMnist } from '../../shared/data/dataset.js';
import type { Normalization } from '../../shared/data/normalize.js';
import { imageData } from '../../shared/data/training-data.js';
import type { DataSource } from '../define-training.js';

export interface IdxOptions {
  /** Folder of the four IDX files; MNIST if left out. */
  readonly folder?: string;
  /** Pixels become (x / 255 - mean) / std; mean 0.5 and std 0.5 if left out. */
  readonly normalize?: Normalization;
}

export function idx({ folder, normalize = { mean: 0.5, std: 0.5 } }: IdxOptions = {}): DataSource {
  return {
    load: async () =>
      imageData(await (folder === undefined ? loadMnist() : loadIdxDirectory(folder)), normalize),
  };
}
