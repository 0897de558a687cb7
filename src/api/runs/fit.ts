/** `fit` and `fitDataset`: tfjs's training methods, on worker processes. */

import type { History, LayersModel } from '@tensorflow/tfjs-layers';
import type {
  BatchSource,
  FitArguments,
  FitDatasetArguments,
  FitTensors,
} from './fit/fit-arguments.js';

export type {
  BatchSource,
  FitArguments,
  FitDatasetArguments,
  FitTensors,
  WorkerArguments,
} from './fit/fit-arguments.js';

/**
 * Trains a compiled model like `model.fit(xs, ys, args)`, on worker processes of this machine. The optimizer, the loss and the metrics
 * are those of `model.compile`. The weights of the model are updated in place, and so is the state of its optimizer if this is sgd,
 * momentum or adam. With another optimizer, a further call is refused until the model is compiled again.
 *
 * With `shuffle: false`, the batches are those of tfjs, and the losses equal tfjs's up to rounding, for any number of workers. The
 * random numbers of dropout and of the shuffle come from `seed` instead of `Math.random`.
 *
 * Callbacks run in this process. At the end of an epoch the model has the weights of that epoch, and the workers wait until the
 * callbacks have returned. During an epoch the callbacks of batches follow the workers without delaying them, and
 * `model.stopTraining` takes effect at the end of the epoch.
 *
 * @example
 * const history = await fit(model, xs, ys, { epochs: 5, batchSize: 64, validationSplit: 0.1, workers: 2 });
 *
 * @param xs inputs, samples first: a tensor, a list, or tensors by the names of the model's inputs
 * @param ys targets, likewise
 * @returns tfjs's history
 * @throws ConfigError for a function or a class that cannot be sent to the workers, with the remedy
 */
export async function fit(
  model: LayersModel,
  xs: FitTensors,
  ys: FitTensors,
  args: FitArguments = {},
): Promise<History> {
  const { runFit } = await import('./fit/run-fit.js');
  return runFit(model, xs, ys, args);
}

/**
 * Trains a compiled model like `model.fitDataset(dataset, args)`, on worker processes of this machine. The batches of the dataset are
 * read once, held in memory, and used in this order in each epoch. All of them but the last one have the same size.
 *
 * @param dataset a `tf.data.Dataset` of batches `{ xs, ys }`
 * @returns tfjs's history
 * @throws ConfigError as `fit` does; DataError if the batches have different sizes
 */
export async function fitDataset(
  model: LayersModel,
  dataset: BatchSource,
  args: FitDatasetArguments = {},
): Promise<History> {
  const { runFitDataset } = await import('./fit/run-fit-dataset.js');
  return runFitDataset(model, dataset, args);
}
