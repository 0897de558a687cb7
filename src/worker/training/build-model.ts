/** Builds the model of a training definition. */

import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { LoadedDefinition } from '../../api/load-definition.js';
import type { ResolvedConfig } from '../../shared/config/run-config.js';
import { ModelError } from '../../shared/errors.js';
import { PhiloxSequence, philoxKey } from '../../shared/random/philox.js';
import { describeValue, inUserCode } from '../../shared/user-code.js';
import type { Engine } from '../engine/engine.js';
import { checkSavable } from '../executor/model-weights.js';
import { openModel, readModelFiles } from '../model-files/load-model.js';
import { withMathRandomUntil } from '../random/math-random.js';
import { markFrozenWeights } from './frozen-layers.js';

/** Builds the definition's model with the weights of the seed. The caller disposes it. */
export async function buildModel(
  { tf }: Pick<Engine, 'tf'>,
  { seed }: Pick<ResolvedConfig, 'seed'>,
  definition: Pick<LoadedDefinition, 'model'>,
): Promise<LayersModel> {
  const random = new PhiloxSequence(philoxKey(seed, 'initialization'), 0);
  const loadModel = async (path: string): Promise<LayersModel> => openModel(tf, await readModelFiles(path));
  const model = await withMathRandomUntil(
    () => random.unit(),
    () => inUserCode('model', () => definition.model({ tf, seed, loadModel })),
  );
  checkIsModel(tf, model);
  markFrozenWeights(model);
  checkSavable(model);
  return model;
}

/** @throws ModelError if the definition's function returned something else than a model of this tfjs */
function checkIsModel({ LayersModel: expected }: Engine['tf'], model: unknown): void {
  if (model instanceof expected) return;
  throw new ModelError(
    `model: expected the function to return a tf.LayersModel, got ${describeValue(model)}. Return the result of tf.sequential ` +
      'or tf.model, built with the `tf` that the function receives.',
  );
}
