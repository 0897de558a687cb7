/** Builds a worker's replica: its data, its model with the seed's weights, and its objective. */

import type { LayersModel } from '@tensorflow/tfjs';
import type { LoadedDefinition } from '../../api/load-definition.js';
import { useExactMath } from '../../shared/arithmetic/exact-math.js';
import type { ResolvedConfig } from '../../shared/config/run-config.js';
import type { Layout } from '../../shared/model/layout.js';
import { checkSamples, loadData } from '../data/load-data.js';
import type { Engine } from '../engine/load.js';
import { weightPaths, weightsOf } from '../executor/model-weights.js';
import { kernelsOf } from '../kernels/choose.js';
import { buildObjective } from '../objective/build-objective.js';
import { buildModel } from './build-model.js';
import { modelWarnings } from './model-warnings.js';
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
  const warnings = modelWarnings(model, config);
  return { engine, kernels, config, model, data, layout: layoutOf(model), objective, functions, warnings };
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
