/** `lockstep eval`: a saved model on the test or the training set. */

import { resolve } from 'node:path';
import { loadDefinition } from '../../api/load-definition.js';
import { ConfigError, DataError } from '../../shared/errors.js';
import type { TrainingData } from '../../shared/data/training-data.js';
import { evaluationEvent } from '../../shared/run-events.js';
import { evaluateAlone } from '../../worker/evaluate.js';
import { openEvaluator } from '../../worker/replica.js';
import { exitStatus } from '../exit.js';
import { Lines } from '../reporters/lines.js';
import { openSavedRun, trainedOn } from '../saved-run.js';

export interface EvalFlags {
  readonly config?: string;
  readonly data?: string;
  readonly split: string;
  readonly engine: string;
  readonly json?: boolean;
  /** Set by the process that a person started; see quiet-child.ts. */
  readonly launched?: boolean;
}

/** @throws ConfigError, DataError, ModelError, EngineError */
export async function evaluateSaved(directory: string, flags: EvalFlags): Promise<number> {
  const { split } = flags;
  if (split !== 'test' && split !== 'train')
    throw new ConfigError(`--split: expected test or train, got "${split}".`);
  const definition = flags.config === undefined ? undefined : await loadDefinition(resolve(flags.config));
  const { engine, config, model } = await openSavedRun(directory, flags.engine);
  const data = flags.data === undefined ? config.data : resolve(flags.data);
  const evaluator = await openEvaluator(engine, { ...config, data }, model, definition);
  if (flags.data === undefined && flags.config === undefined) {
    await checkSameData(directory, evaluator.replica.data);
  }
  const event = evaluationEvent({ split, epoch: 0, step: 0, ...(await evaluateAlone(evaluator, split)) });
  if (flags.json === true) process.stdout.write(`${JSON.stringify(event)}\n`);
  else for (const { text } of new Lines({ rateInLine: false }).of(event)) process.stdout.write(`${text}\n`);
  model.dispose();
  return exitStatus.done;
}

/** A run may have had a data source of its own, or its folder of data may have changed: no numbers of other data by accident. */
async function checkSameData(directory: string, { name, sha256 }: TrainingData): Promise<void> {
  const expected = await trainedOn(directory);
  if (expected === undefined || expected === sha256) return;
  throw new DataError(
    `Run ${directory}: expected the data that it was trained on (SHA-256 ${expected.slice(0, 12)}…), got ${name} ` +
      `(${sha256.slice(0, 12)}…). Name its data source with --config FILE, or any data with --data DIR.`,
    { directory, expected, got: sha256 },
  );
}
