/** Loads the training and test set that the configuration names. */

import { inspect } from 'node:util';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { DataSource } from '../../api/define-training.js';
import type { ResolvedConfig } from '../../shared/config/run-config.js';
import { loadIdxDirectory, loadMnist } from '../../shared/data/dataset.js';
import type { Preprocessing } from '../../shared/data/preprocessing.js';
import {
  imageData,
  withFill,
  withTestSet,
  type DataSplit,
  type TrainingData,
} from '../../shared/data/training-data.js';
import { ConfigError } from '../../shared/errors.js';
import { inUserCode } from '../../shared/user-code.js';
import { dependsOnEvaluation } from '../optimizer/evaluation-decisions.js';
import { checkData } from './check-data.js';
import { checkAhead, withChecks } from './checked-data.js';

/**
 * Loads the IDX directory `config.data` if it is set, else the definition's data source, else MNIST.
 * @param saved the conversion of the inputs of a saved model
 * @throws DataError if the data is missing or invalid
 */
export async function loadData(
  config: Pick<ResolvedConfig, 'data' | 'normalize'>,
  source: DataSource | undefined,
  saved?: Preprocessing,
): Promise<TrainingData> {
  if (config.data !== null) return imageData(await loadIdxDirectory(config.data), config.normalize);
  if (source) {
    if (typeof (source as Partial<DataSource>).load !== 'function')
      throw new ConfigError(
        `data: expected the result of a function such as arrays, tensors, samples, csv or imageFolder, got ${inspect(source, { depth: 0 })}.`,
      );
    return attributed(withTestSet(checkData(await inUserCode('data', () => source.load(saved)))));
  }
  return imageData(await loadMnist(), config.normalize);
}

/**
 * Returns the data with a check of each sample that is read. Reads the samples in memory once.
 * @throws DataError naming the first sample with a wrong value
 * @throws ConfigError if there is no test set, and early stopping or the schedule needs one
 */
export async function checkSamples(
  loaded: TrainingData,
  model: LayersModel,
  config: Pick<ResolvedConfig, 'loss' | 'schedule' | 'earlyStopping'>,
): Promise<TrainingData> {
  requireTestSet(config, loaded);
  const data = withChecks(loaded, model, config);
  await checkAhead(data);
  return data;
}

/** @throws ConfigError if a decision depends on evaluations of a test set that the data do not have */
function requireTestSet(
  config: Parameters<typeof dependsOnEvaluation>[0],
  { name, test }: TrainingData,
): void {
  if (test.count > 0 || !dependsOnEvaluation(config)) return;
  const field = config.earlyStopping === null ? 'schedule' : 'earlyStopping';
  throw new ConfigError(
    `${field}: expected a test set, which it evaluates, and ${name} has none. Hold a part of the training set out (holdOut).`,
    { field },
  );
}

/** The same data; errors of the source's own functions are reported as the user's. */
function attributed(data: TrainingData): TrainingData {
  const split = (given: DataSplit): DataSplit =>
    withFill(given, (indices, into) => inUserCode('data', () => given.fill(indices, into)));
  return { ...data, train: split(data.train), test: split(data.test) };
}
