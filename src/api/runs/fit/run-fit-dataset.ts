/** A call of `fitDataset`: joins the batches of a dataset and trains on them like `fit`. */

import type { Tensor } from '@tensorflow/tfjs-core';
import type { History, LayersModel } from '@tensorflow/tfjs-layers';
import { ConfigError, DataError } from '../../../shared/errors.js';
import { requireTfjs } from '../../../worker/engine/tfjs.js';
import type { Tensorflow } from '../../tensorflow.js';
import type { BatchSource, FitDatasetArguments, FitTensors } from './fit-arguments.js';
import { runFit } from './run-fit.js';

/** Batches that were joined: tensors that the caller disposes. */
interface Joined {
  readonly xs: Tensor[];
  readonly ys: Tensor[];
  readonly batchSize: number;
}

/** @throws DataError, or the errors of `fit` */
export async function runFitDataset(
  model: LayersModel,
  dataset: BatchSource,
  args: FitDatasetArguments,
): Promise<History> {
  const tf = requireTfjs();
  const { batchesPerEpoch, validationBatches, validationBatchSize, validationData, ...rest } = args;
  const { epochs = 1, initialEpoch = 0 } = args;
  const several = epochs - initialEpoch > 1;
  const joined = await join(tf, model, 'dataset', dataset, batchesPerEpoch, several);
  let held: Joined | undefined;
  try {
    if (validationData !== undefined && isSource(validationData))
      held = await join(tf, model, 'validationData', validationData, validationBatches, false);
    const validation: readonly [FitTensors, FitTensors] | undefined = held
      ? [held.xs, held.ys]
      : (validationData as readonly [FitTensors, FitTensors] | undefined);
    return await runFit(model, joined.xs, joined.ys, {
      ...rest,
      ...(validationBatchSize !== undefined && { evalBatchSize: validationBatchSize }),
      ...(validation && { validationData: validation }),
      batchSize: joined.batchSize,
      shuffle: false,
    });
  } finally {
    tf.dispose([joined.xs, joined.ys, held?.xs ?? [], held?.ys ?? []]);
  }
}

const isSource = (value: object): value is BatchSource => 'iterator' in value;

/** @param most number of batches to read; undefined: all @throws DataError if the batches cannot be joined */
async function join(
  tf: Tensorflow,
  model: LayersModel,
  what: string,
  source: BatchSource,
  most: number | undefined,
  several: boolean,
): Promise<Joined> {
  const iterator = await source.iterator();
  const batches: { readonly xs: Tensor[]; readonly ys: Tensor[] }[] = [];
  try {
    for (;;) {
      const { value, done } = await iterator.next();
      if (done === true) break;
      if (most !== undefined && batches.length === most) {
        tf.dispose(value as Tensor);
        if (several)
          throw new ConfigError(
            `fitDataset: batchesPerEpoch: the ${what} has more than ${most} batches, and each epoch would use the first ${most}. ` +
              'Write dataset.take(n), or train one epoch per call.',
          );
        break;
      }
      const { xs, ys } = batchOf(what, value);
      batches.push({ xs: listOf(xs, model.inputNames), ys: listOf(ys, model.outputNames) });
    }
    const sizes = batches.map(({ xs }) => xs[0]?.shape[0] ?? 0);
    const [batchSize = 0] = sizes;
    const wrong = sizes.findIndex((size, i) => size > batchSize || (size < batchSize && i < sizes.length - 1));
    if (batchSize === 0) throw new DataError(`fitDataset: expected batches in the ${what}, got none.`);
    if (wrong >= 0)
      throw new DataError(
        `fitDataset: ${what}: expected batches of ${batchSize} samples, got ${sizes[wrong] ?? 0} in batch ${wrong}.`,
      );
    if (most !== undefined && batches.length < most)
      throw new DataError(`fitDataset: expected ${most} batches in the ${what}, got ${batches.length}.`);
    const all = (kind: 'xs' | 'ys'): Tensor[] =>
      (batches[0]?.[kind] ?? []).map((_, i) => tf.concat(batches.map((batch) => batch[kind][i] as Tensor)));
    return { xs: all('xs'), ys: all('ys'), batchSize };
  } finally {
    for (const { xs, ys } of batches) tf.dispose([xs, ys]);
  }
}

function batchOf(what: string, value: unknown): { xs: unknown; ys: unknown } {
  if (typeof value === 'object' && value !== null && 'xs' in value && 'ys' in value) return value;
  throw new DataError(`fitDataset: expected batches { xs, ys } in the ${what}, got ${typeof value}.`);
}

function listOf(tensors: unknown, names: readonly string[]): Tensor[] {
  if (typeof tensors === 'object' && tensors !== null && 'dataSync' in tensors) return [tensors as Tensor];
  if (Array.isArray(tensors)) return tensors as Tensor[];
  return names.map((name) => {
    const tensor = (tensors as Record<string, Tensor>)[name];
    if (tensor) return tensor;
    throw new DataError(`fitDataset: expected a tensor "${name}" in each batch, got none.`);
  });
}
