/** Loads the training and test set that the configuration names. */

import type { LayersModel } from '@tensorflow/tfjs';
import type { DataSource } from '../../api/define-training.js';
import type { ResolvedConfig } from '../../shared/config/run-config.js';
import { loadIdxDirectory, loadMnist } from '../../shared/data/dataset.js';
import { imageData, type TrainingData } from '../../shared/data/training-data.js';
import { checkData } from './check-data.js';
import { checkAhead, withChecks } from './checked-data.js';

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

/**
 * Returns the data with a check of each sample that is read. Reads the samples in memory once.
 * @throws DataError naming the first sample with a wrong value
 */
export async function checkSamples(
  loaded: TrainingData,
  model: LayersModel,
  config: Pick<ResolvedConfig, 'loss'>,
): Promise<TrainingData> {
  const data = withChecks(loaded, model, config);
  await checkAhead(data);
  return data;
}
