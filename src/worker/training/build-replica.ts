/** Builds a worker's replica: its data, its model with the seed's weights, and its objective. */

import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { LoadedDefinition } from '../../api/load-definition.js';
import { useExactMath } from '../../shared/arithmetic/exact-math.js';
import type { ResolvedConfig } from '../../shared/config/run-config.js';
import { ModelError } from '../../shared/errors.js';
import type { Layout } from '../../shared/model/layout.js';
import { checkSamples, loadData } from '../data/load-data.js';
import type { Engine } from '../engine/engine.js';
import { weightPaths, weightsOf } from '../executor/model-weights.js';
import { kernelsOf } from '../kernels/choose.js';
import { buildObjective } from '../objective/build-objective.js';
import { buildModel } from './build-model.js';
import { takeOverCompile } from './compiled-model.js';
import { modelWarnings } from './model-warnings.js';
import type { Replica } from './replica.js';

/**
 * The caller disposes the replica's model.
 * @param saved the conversion of inputs of the checkpoint that the run resumes from
 * @throws ModelError, ConfigError or DataError if the model, the data and the configuration do not fit each other
 */
export async function buildReplica(
  engine: Engine,
  requested: ResolvedConfig,
  definition: LoadedDefinition,
  saved?: Parameters<typeof loadData>[2],
): Promise<Replica> {
  useExactMath();
  const { functions } = definition;
  const loaded = await loadData(requested, definition.source, saved);
  const model = await buildModel(engine, requested, definition);
  const taken = takeOverCompile(engine.tf, model, requested, definition.values);
  const { config } = taken;
  const kernels = kernelsOf(engine, config.precision);
  const objective = buildObjective({ engine, kernels, config, model, data: loaded, functions });
  const data = await checkSamples(loaded, model, config);
  const layout = layoutOf(model);
  checkTrains(model, layout);
  const warnings = [...taken.notes, ...objective.notes, ...modelWarnings(model, config)];
  return {
    engine,
    kernels,
    config,
    model,
    data,
    layout,
    objective,
    functions,
    warnings,
    compiled: taken.compiled,
    ...(definition.hooks && { hooks: definition.hooks }),
  };
}

/** @throws ModelError if no weight of the model is trainable */
function checkTrains({ name }: LayersModel, layout: Layout): void {
  if (layout.some(({ trainable }) => trainable)) return;
  const reason =
    layout.length === 0 ? 'no layer has weights' : 'all layers with weights have trainable: false';
  throw new ModelError(
    `Model "${name}": expected at least one trainable weight, got none, since ${reason}. Set trainable to true on a layer.`,
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
