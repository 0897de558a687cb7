/** Builds a worker's replica: its data, its model with the seed's weights, and its objective. */

import type { LayersModel } from '@tensorflow/tfjs';
import type { LoadedDefinition } from '../../api/load-definition.js';
import { useExactMath } from '../../shared/arithmetic/exact-math.js';
import type { ResolvedConfig } from '../../shared/config/run-config.js';
import { ModelError } from '../../shared/errors.js';
import type { Layout } from '../../shared/model/layout.js';
import { PhiloxSequence, philoxKey } from '../../shared/random/philox.js';
import { describeValue, inUserCode } from '../../shared/user-code.js';
import { checkSamples, loadData } from '../data/load-data.js';
import type { Engine } from '../engine/load.js';
import { checkSavable, weightPaths, weightsOf } from '../executor/model-weights.js';
import { kernelsOf } from '../kernels/choose.js';
import { openModel, readModelFiles } from '../model-files/load-model.js';
import { buildObjective } from '../objective/build-objective.js';
import { withMathRandomUntil } from '../random/math-random.js';
import { markFrozenWeights } from './frozen-layers.js';
import type { Replica } from './replica.js';

/**
 * The caller disposes the replica's model.
 * @throws ModelError, ConfigError or DataError if the model, the data and the configuration do not fit each other
 */
export async function buildReplica(
  engine: Engine,
  config: ResolvedConfig,
  definition: LoadedDefinition,
): Promise<Replica> {
  useExactMath();
  const { functions } = definition;
  const loaded = await loadData(config, definition.source);
  const model = await buildModel(engine, config, definition);
  const kernels = kernelsOf(engine, config.precision);
  const objective = buildObjective({ engine, kernels, config, model, data: loaded, functions });
  const data = await checkSamples(loaded, model, config);
  return { engine, kernels, config, model, data, layout: layoutOf(model), objective, functions };
}

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

function layoutOf(model: LayersModel): Layout {
  const paths = weightPaths(model);
  return weightsOf(model).map((variable, i) => ({
    name: paths[i] ?? variable.originalName,
    shape: variable.shape.map(Number),
    dtype: variable.read().dtype,
    trainable: variable.trainable,
  }));
}
