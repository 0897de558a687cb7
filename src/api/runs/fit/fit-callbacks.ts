/** Prepares tfjs's callbacks and its `History` for a training whose steps are computed by other processes. */

import type { CallbackList, History, LayersModel } from '@tensorflow/tfjs-layers';
import type { Tensorflow } from '../../tensorflow.js';
import { trainedModel } from '../../fit/compiled-functions.js';
import type { FitArguments } from './fit-arguments.js';

type AnyCallback = ConstructorParameters<typeof CallbackList>[0] extends (infer One)[] | undefined ? One : never;

export interface CallbackParameters {
  /** tfjs's names of the loss and of the metrics. */
  readonly labels: readonly string[];
  readonly samples: number;
  readonly validates: boolean;
}

/** The list contains the callbacks in their order, and the history as its last one, as in tfjs. */
export function callbackListOf(
  tf: Tensorflow,
  model: LayersModel,
  { callbacks, yieldEvery, epochs = 1, initialEpoch = 0, batchSize = 32, verbose }: FitArguments,
  { labels, samples, validates }: CallbackParameters,
): { list: CallbackList; history: History } {
  const given = callbacks === undefined ? [] : [callbacks].flat();
  const history = new tf.History();
  const list = new tf.CallbackList([
    ...given.map((one) =>
      isCallback(one) ? one : new tf.CustomCallback(one, yieldEvery ?? 'auto'),
    ),
    history,
  ]);
  list.setParams({
    epochs,
    initialEpoch,
    samples,
    batchSize,
    verbose: verbose ?? 0,
    doValidation: validates,
    metrics: validates ? [...labels, ...labels.map((name) => `val_${name}`)] : [...labels],
  });
  list.setModel(trainedModel(model));
  return { list, history };
}

function isCallback(value: object): value is AnyCallback {
  return 'setModel' in value;
}
