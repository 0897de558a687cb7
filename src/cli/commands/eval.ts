/** `lockstep eval`: a saved model on the test or the training set. */

import { basename, resolve } from 'node:path';
import type { LayersModel } from '@tensorflow/tfjs';
import { loadDefinition } from '../../api/load-definition.js';
import { confusionReport } from '../../shared/evaluation/confusion.js';
import { ConfigError, DataError } from '../../shared/errors.js';
import type { DataSplit, TrainingData } from '../../shared/data/training-data.js';
import { evaluationEvent } from '../../shared/runs/run-events.js';
import { ConfusionCounts } from '../../worker/evaluation/confusion-counts.js';
import { evaluateAlone } from '../../worker/evaluation/evaluate.js';
import { classifies } from '../../worker/evaluation/misclassified-collector.js';
import { openEvaluator } from '../../worker/evaluation/open-evaluator.js';
import { confusionTable } from '../tables/confusion-table.js';
import { definitionCache } from '../options/environment.js';
import { exitStatus } from '../exit.js';
import { confusionSvg, mostPictured } from '../pictures/confusion-svg.js';
import { picturePlace, writePicture } from '../pictures/picture-file.js';
import { Lines } from '../reporters/lines.js';
import { openSavedRun, trainedOn } from '../runs/saved-run.js';

export interface EvalFlags {
  readonly config?: string;
  readonly data?: string;
  readonly split: string;
  /** File of the confusion matrix. */
  readonly picture?: string;
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
  const picture = flags.picture === undefined ? undefined : await picturePlace(flags.picture);
  const definition =
    flags.config === undefined ? undefined : await loadDefinition(resolve(flags.config), definitionCache());
  const { engine, config, model } = await openSavedRun(directory, flags.engine);
  const data = flags.data === undefined ? config.data : resolve(flags.data);
  const evaluator = await openEvaluator(engine, { ...config, data }, model, definition);
  if (flags.data === undefined && flags.config === undefined) {
    await checkSameData(directory, evaluator.replica.data);
  }
  const evaluated = evaluator.replica.data[split];
  const counts = tellsClassesApart(model, evaluated) ? new ConfusionCounts() : undefined;
  if (flags.picture !== undefined) checkPicturable(flags.picture, evaluated, counts !== undefined);
  const result = await evaluateAlone(evaluator, split, counts);
  const confusion = counts?.result(evaluated);
  const event = evaluationEvent({ split, epoch: 0, step: 0, ...result });
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify({ ...event, ...(confusion && confusionReport(confusion)) })}\n`);
  } else {
    const said = new Lines({ rateInLine: false }).of(event).map(({ text }) => text);
    const table = confusion ? confusionTable(confusion, process.stdout.columns || Infinity) : [];
    for (const line of [...said, ...table]) process.stdout.write(`${line}\n`);
  }
  if (picture !== undefined && confusion)
    await writePicture(picture, confusionSvg(confusion, { run: basename(resolve(directory)), split }));
  model.dispose();
  return exitStatus.done;
}

/** Whether an answer is one class of several, and the largest of its numbers says which. */
function tellsClassesApart({ outputs }: LayersModel, split: DataSplit): boolean {
  const [, units = 0, ...others] = outputs[0]?.shape ?? [];
  const enough = others.length === 0 && (units ?? 0) >= (split.targets[0]?.classes ?? 0);
  return classifies(split) && outputs.length === 1 && enough;
}

/** @throws ConfigError */
function checkPicturable(picture: string, { targets }: DataSplit, classified: boolean): void {
  if (!classified) {
    throw new ConfigError(
      `--picture ${picture}: expected a model that tells classes apart, got one that doesn't. Leave the option out.`,
    );
  }
  const classes = targets[0]?.classes ?? 0;
  if (classes <= mostPictured) return;
  throw new ConfigError(
    `--picture ${picture}: expected at most ${mostPictured} classes, got ${classes}. Use --json, which counts each of them.`,
  );
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
