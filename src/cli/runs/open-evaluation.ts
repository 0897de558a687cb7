/** Opens a saved model together with the data on which it is evaluated. */

import { resolve } from 'node:path';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { TrainingData } from '../../shared/data/training-data.js';
import { DataError } from '../../shared/errors.js';
import { openEvaluator } from '../../worker/evaluation/open-evaluator.js';
import { openSavedRun } from './open-saved-run.js';
import { trainedOn } from './saved-run.js';

export interface OpenedEvaluation {
  readonly model: LayersModel;
  readonly evaluator: Awaited<ReturnType<typeof openEvaluator>>;
}

/** @throws ConfigError, DataError, ModelError, EngineError */
export async function openEvaluation(
  directory: string,
  flags: { readonly config?: string; readonly data?: string; readonly engine: string },
): Promise<OpenedEvaluation> {
  const named = flags.data === undefined ? undefined : resolve(flags.data);
  const { engine, config, model, definition, preprocessing } = await openSavedRun(directory, {
    ...flags,
    needs: (record, { data, loss, metrics }) =>
      (named === undefined && data === null && record.hasSource) || hasCustom([loss, metrics]),
  });
  const evaluator = await openEvaluator(
    engine,
    { ...config, data: named ?? config.data },
    model,
    definition,
    preprocessing,
    (data) => (named === undefined && flags.config === undefined ? checkSameData(directory, data) : Promise.resolve()),
  );
  const { data } = evaluator.replica;
  for (const note of data.notes ?? []) process.stderr.write(`Warning: ${note}\n`);
  return { model, evaluator };
}

/** Returns true if a loss or a metric is a function of the definition's. */
function hasCustom(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(([key, inner]) => (key === 'kind' && inner === 'custom') || hasCustom(inner));
}

/**
 * A run may have had its own data source, or its folder of data may have changed. The check prevents an evaluation on other data
 * that the user did not ask for.
 */
async function checkSameData(directory: string, { name, sha256 }: Pick<TrainingData, 'name' | 'sha256'>): Promise<void> {
  const expected = await trainedOn(directory);
  if (expected === undefined || expected === sha256) return;
  throw new DataError(
    `Run ${directory}: expected the data that it was trained on (SHA-256 ${expected.slice(0, 12)}…), got ${name} ` +
      `(${sha256.slice(0, 12)}…). Name its data source with --config FILE, or any data with --data DIR.`,
    { directory, expected, got: sha256 },
  );
}
