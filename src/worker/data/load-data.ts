/** Loads the training and test set that the configuration names. */

import type { DataSource } from '../../api/define-training.js';
import type { ResolvedConfig } from '../../shared/config/run-config.js';
import { loadIdxDirectory, loadMnist } from '../../shared/data/dataset.js';
import { imageData, type TrainingData } from '../../shared/data/training-data.js';
import { checkData } from './check-data.js';

/**
 * Loads the IDX directory `config.data` if it is set, else the definition's data source, else MNIST.
 * @throws DataError if the data is missing or invalid
 */
export async function loadData(
  config: Pick<ResolvedConfig, 'data' | 'normalize'>,
  source: DataSource | undefined,
): Promise<TrainingData> {
  if (config.data !== null) return imageData(await loadIdxDirectory(config.data), config.normalize);
  if (source) return checkData(await source.load());
  return imageData(await loadMnist(), config.normalize);
}
