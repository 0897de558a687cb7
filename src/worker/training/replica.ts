/** The objects of a worker's training that exist before the worker joins a generation. Types only. */

import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { DefinitionFunctions } from '../../api/definition-functions.js';
import type { TrainingHooks } from '../../api/training-hooks.js';
import type { CompiledFields, ResolvedConfig } from '../../shared/config/run-config.js';
import type { TrainingData } from '../../shared/data/training-data.js';
import type { Layout } from '../../shared/model/layout.js';
import type { Engine } from '../engine/engine.js';
import type { Kernels } from '../kernels/kernels.js';
import type { Objective } from '../objective/objective.js';

/**
 * A worker's copy of the model and its data. After each step the model has the same weights on every worker, bit for bit. The
 * optimizer's vectors, the moving average and the scheduler state belong to the training state instead (training-state.ts).
 */
export interface Replica {
  readonly engine: Engine;
  readonly kernels: Kernels;
  /** The run's configuration, completed by the choices of the definition's `model.compile`. */
  readonly config: ResolvedConfig;
  /** Owned by the replica; disposed when training ends. */
  readonly model: LayersModel;
  readonly data: TrainingData;
  /** One entry per weight of the model, in the order of `weightsOf`. */
  readonly layout: Layout;
  readonly objective: Objective;
  readonly functions: DefinitionFunctions;
  /** Present in a run of `fit`. */
  readonly hooks?: TrainingHooks;
  /** The fields of `config` with choices of the definition's `model.compile`, which the coordinator does not know; null: none. */
  readonly compiled: CompiledFields | null;
  /** Notes on the model for the user, the same on every worker. */
  readonly warnings: readonly string[];
}
