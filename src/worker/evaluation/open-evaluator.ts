/** Prepares the evaluation of a saved model in one process, without an optimizer and without other workers. */

import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { LoadedDefinition } from '../../api/load-definition.js';
import type { CollectiveSpec } from '../../shared/collectives/collective-spec.js';
import type { ResolvedConfig } from '../../shared/config/run-config.js';
import type { Preprocessing } from '../../shared/data/preprocessing.js';
import type { TrainingData } from '../../shared/data/training-data.js';
import { InvariantError } from '../../shared/errors.js';
import type { CollectiveHandle } from '../communicator/communicator.js';
import { withChecks } from '../data/checked-data.js';
import { loadData } from '../data/load-data.js';
import type { Engine } from '../engine/engine.js';
import { Executor } from '../executor/executor.js';
import { kernelsOf } from '../kernels/choose.js';
import { buildObjective } from '../objective/build-objective.js';
import type { Evaluator } from './shard-totals.js';

/**
 * The caller keeps and disposes `model`.
 * @param definition the run's training definition; undefined for a model of a run without one
 * @param saved the conversion of inputs that was saved with the model
 * @param checkData called before the data are compared with the model; its rejection is this function's
 * @throws ModelError or DataError if the model and the data do not fit each other
 */
export async function openEvaluator(
  engine: Engine,
  config: ResolvedConfig,
  model: LayersModel,
  definition: Pick<LoadedDefinition, 'source' | 'functions'> | undefined,
  saved?: Preprocessing,
  checkData?: (data: TrainingData) => Promise<void>,
): Promise<Evaluator> {
  const loaded = await loadData(config, definition?.source, saved);
  await checkData?.(loaded);
  const kernels = kernelsOf(engine, config.precision);
  const functions = definition?.functions;
  const objective = buildObjective({ engine, kernels, config, model, data: loaded, functions });
  const data = withChecks(loaded, model, config);
  const communicator = { allocate: refuse, register: registerNothing, tick: () => undefined };
  const { logits } = objective;
  const executor = new Executor({ tf: engine.tf, kernels, model, communicator, seed: config.seed, logits });
  return { replica: { engine, config, data, objective }, executor };
}

const refuse = (): never => {
  throw new InvariantError('an evaluation in one process communicates with no other worker');
};

/** A collective that must not be started: an evaluation reads the running statistics and communicates nothing. */
const registerNothing = (spec: Omit<CollectiveSpec, 'id'>): CollectiveHandle => ({
  spec: { ...spec, id: 0 },
  inputs: [],
  output: new Float64Array(0),
  start: refuse,
  wait: refuse,
});
