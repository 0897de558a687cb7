/** Opens a saved model together with the data on which it is evaluated. */

import { resolve } from 'node:path';
import type { LayersModel } from '@tensorflow/tfjs';
import type { TrainingData } from '../../shared/data/training-data.js';
import { DataError } from '../../shared/errors.js';
import { openEvaluator } from '../../worker/evaluation/open-evaluator.js';
import { namedDefinition } from './named-definition.js';
import { openSavedRun, trainedOn } from './saved-run.js';

export interface OpenedEvaluation {
  readonly model: LayersModel;
  readonly evaluator: Awaited<ReturnType<typeof openEvaluator>>;
}

/** @throws ConfigError, DataError, ModelError, EngineError */
export async function openEvaluation(
  directory: string,
  flags: { readonly config?: string; readonly data?: string; readonly engine: string },
): Promise<OpenedEvaluation> {
  const definition = await namedDefinition(flags.config);
  const { engine, config, model, preprocessing } = await openSavedRun(directory, flags.engine, definition);
  const data = flags.data === undefined ? config.data : resolve(flags.data);
  const isDefault = flags.data === undefined && flags.config === undefined;
  // Before the data are compared with the model: other data than those of the run are the cause, and not the model's shape.
  const check = isDefault ? (loaded: TrainingData) => checkSameData(directory, loaded) : undefined;
  const evaluator = await openEvaluator(engine, { ...config, data }, model, definition, preprocessing, check);
  for (const note of evaluator.replica.data.notes ?? []) process.stderr.write(`Warning: ${note}\n`);
  return { model, evaluator };
}

/**
 * A run may have had its own data source, or its folder of data may have changed. The check prevents an evaluation on other data
 * that the user did not ask for.
 */
async function checkSameData(directory: string, { name, sha256 }: TrainingData): Promise<void> {
  const expected = await trainedOn(directory);
  if (expected === undefined || expected === sha256) return;
  throw new DataError(
    `Run ${directory}: expected the data that it was trained on (SHA-256 ${expected.slice(0, 12)}…), got ${name} ` +
      `(${sha256.slice(0, 12)}…). Name its data source with --config FILE, or any data with --data DIR.`,
    { directory, expected, got: sha256 },
  );
}
