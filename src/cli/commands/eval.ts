/** `lockstep eval`: evaluates a saved model on the test set or on the training set. */

import { basename, resolve } from 'node:path';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { DataSplit } from '../../shared/data/training-data.js';
import { ConfigError } from '../../shared/errors.js';
import { confusionReport, type Confusion } from '../../shared/evaluation/confusion.js';
import { exitStatus } from '../../shared/exit-status.js';
import { evaluationEvent } from '../../shared/runs/run-events.js';
import { ConfusionCounts } from '../../worker/evaluation/confusion-counts.js';
import { evaluateAlone } from '../../worker/evaluation/evaluate.js';
import { classifies } from '../../worker/evaluation/misclassified-collector.js';
import { confusionSvg, mostPictured } from '../pictures/confusion-svg.js';
import { pictureFile, writePicture } from '../pictures/picture-file.js';
import { EventFormatter } from '../reporters/event-formatter.js';
import { openEvaluation } from '../runs/open-evaluation.js';
import { confusionTable } from '../tables/confusion-table.js';

export interface EvalFlags {
  readonly config?: string;
  readonly data?: string;
  readonly split: string;
  /** File for a picture of the confusion matrix. */
  readonly picture?: string;
  readonly engine: string;
  readonly json?: boolean;
  /** Set in the child process; see launcher/quiet-child.ts. */
  readonly launched?: boolean;
}

/** Resolves with the exit status. @throws ConfigError, DataError, ModelError, EngineError */
export async function evaluateSaved(run: string, flags: EvalFlags): Promise<number> {
  const directory = resolve(run);
  const { split } = flags;
  if (split !== 'test' && split !== 'train')
    throw new ConfigError(`--split: expected test or train, got "${split}".`);
  const picture = flags.picture === undefined ? undefined : await pictureFile(flags.picture);
  const { model, evaluator } = await openEvaluation(directory, flags);
  const evaluated = evaluator.replica.data[split];
  const counts = hasConfusionMatrix(model, evaluated) ? new ConfusionCounts() : undefined;
  if (flags.picture !== undefined) checkPicture(flags.picture, evaluated, counts !== undefined);
  const result = await evaluateAlone(evaluator, split, counts);
  const confusion = counts?.result(evaluated);
  const event = evaluationEvent({ split, epoch: 0, step: 0, ...result });
  if (flags.json === true)
    process.stdout.write(`${JSON.stringify({ ...event, ...(confusion && confusionReport(confusion)) })}\n`);
  else printResult(event, confusion);
  if (picture !== undefined && confusion)
    await writePicture(picture, confusionSvg(confusion, { run: basename(directory), split }));
  model.dispose();
  return exitStatus.done;
}

function printResult(event: ReturnType<typeof evaluationEvent>, confusion: Confusion | undefined): void {
  const lines = new EventFormatter({ withRate: false }).format(event).map(({ text }) => text);
  const table = confusion ? confusionTable(confusion, process.stdout.columns || Infinity) : [];
  for (const line of [...lines, ...table]) process.stdout.write(`${line}\n`);
}

/** Returns true if the model has one output whose largest element is the predicted class. */
function hasConfusionMatrix({ outputs }: LayersModel, split: DataSplit): boolean {
  const [, units = 0, ...others] = outputs[0]?.shape ?? [];
  const enough = others.length === 0 && (units ?? 0) >= (split.targets[0]?.classes ?? 0);
  return classifies(split) && outputs.length === 1 && enough;
}

/** @throws ConfigError if there is no confusion matrix, or if it is too large for a picture */
function checkPicture(picture: string, { targets }: DataSplit, hasMatrix: boolean): void {
  if (!hasMatrix) {
    throw new ConfigError(
      `--picture ${picture}: expected a model that predicts one of several classes, got another one. Leave the option out.`,
    );
  }
  const classes = targets[0]?.classes ?? 0;
  if (classes <= mostPictured) return;
  throw new ConfigError(
    `--picture ${picture}: expected at most ${mostPictured} classes, got ${classes}. Use --json, which counts each of them.`,
  );
}
