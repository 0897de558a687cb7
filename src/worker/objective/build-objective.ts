/** Builds the objective of a run and checks that the model, the data and the objective fit each other. */

import type { LayersModel } from '@tensorflow/tfjs-layers';
import { noFunctions, type DefinitionFunctions } from '../../api/definition-functions.js';
import type { ResolvedConfig } from '../../shared/config/run-config.js';
import type { DataSplit, TrainingData } from '../../shared/data/training-data.js';
import { DataError, ModelError } from '../../shared/errors.js';
import type { Engine } from '../engine/engine.js';
import type { Kernels } from '../kernels/kernels.js';
import { Objective } from './objective.js';

export interface ObjectiveOptions {
  readonly engine: Pick<Engine, 'tf'>;
  readonly kernels: Kernels;
  readonly config: ResolvedConfig;
  readonly model: LayersModel;
  readonly data: TrainingData;
  /** The definition's own losses and metrics; none if undefined. */
  readonly functions: DefinitionFunctions | undefined;
}

/** @throws ModelError, ConfigError or DataError if the model, the data and the objective do not fit each other */
export function buildObjective(options: ObjectiveOptions): Objective {
  const { engine, kernels, config, model, data, functions = noFunctions } = options;
  checkInputs(model, data);
  const { targets } = data.train;
  return new Objective({ tf: engine.tf, kernels, model, config, functions, targets, dataName: data.name });
}

function checkInputs(model: LayersModel, { name, train, test }: TrainingData): void {
  if (model.inputs.length !== train.inputs.length) {
    throw new ModelError(
      `Model "${model.name}" has ${model.inputs.length} inputs, but ${name} has ${train.inputs.length} for each sample.`,
    );
  }
  const shapes = ({ inputs }: DataSplit): string[] => inputs.map(({ shape }) => shape.join('x'));
  for (const [i, given] of shapes(train).entries()) {
    const input = model.inputs[i]?.shape.slice(1) ?? [];
    const fits = input.length === given.split('x').length || given === '';
    const expected = input.map((size, at) => size ?? given.split('x')[at]).join('x');
    if (fits && expected === given) continue;
    throw new ModelError(
      `Model "${model.name}" expects samples of ${input.join('x')}, but ${name} has ${given}. ` +
        "Set the first layer's inputShape.",
    );
  }
  if (shapes(train).join() !== shapes(test).join())
    throw new DataError(
      `${name}: expected test samples of ${shapes(train).join()}, got ${shapes(test).join()}.`,
    );
}
