/** Opens the model of a run with the tfjs of a process that is not a worker: its backend stays as it is. */

import type { LayersModel } from '@tensorflow/tfjs-layers';
import { requireTfjs } from '../engine/tfjs.js';
import type { Tensorflow } from '../../api/tensorflow.js';
import { openModel, readModelFiles } from './load-model.js';

/**
 * The caller disposes the model.
 * @param folder of a run or of a model
 * @throws ModelError naming the file
 */
export async function openSavedModel(folder: string, tf: Tensorflow = requireTfjs()): Promise<LayersModel> {
  const files = await readModelFiles(folder);
  await tf.ready();
  return openModel(tf, files);
}
