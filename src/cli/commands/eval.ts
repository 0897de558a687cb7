/** `lockstep eval`: a saved model on the test or the training set. */

import { resolve } from 'node:path';
import { loadDefinition } from '../../api/load-definition.js';
import { ConfigError } from '../../shared/errors.js';
import type { RunEvent } from '../../shared/run-events.js';
import { evaluateAlone } from '../../worker/evaluate.js';
import { openEvaluator } from '../../worker/replica.js';
import { exitStatus } from '../exit.js';
import { HumanReporter } from '../reporters/human.js';
import { openSavedRun } from '../saved-run.js';

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
  const evaluator = await openEvaluator(engine, { ...config, data }, model, definition?.source);
  const { loss, correct, count } = await evaluateAlone(evaluator, split);
  const event: RunEvent = { event: 'eval', split, epoch: 0, loss, accuracy: correct / count, correct, count };
  if (flags.json === true) process.stdout.write(`${JSON.stringify(event)}\n`);
  else new HumanReporter({ stream: process.stdout }).emit(event);
  model.dispose();
  return exitStatus.done;
}
