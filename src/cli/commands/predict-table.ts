/** `lockstep predict` with the rows of CSV or JSON files, for a model that was trained on a table. */

import { readingOf, readTableInputs } from '../../api/data/csv-predict.js';
import { isJsonFile } from '../../api/data/json-samples.js';
import type { ColumnEncoding, TablePreprocessing } from '../../shared/data/preprocessing.js';
import type { RankedClass } from '../../worker/predict/classify.js';
import { predictRows, type TargetPrediction } from '../../worker/predict/predict-rows.js';
import { predictFiles, type PredictedFile } from './predict-files.js';
import type { PredictionSummary } from './predict-summary.js';
import type { SavedRun } from '../runs/open-saved-run.js';

export interface TableRequest {
  /** Folder of the run, for messages. */
  readonly directory: string;
  readonly run: Pick<SavedRun, 'engine' | 'config' | 'model'>;
  readonly preprocessing: TablePreprocessing;
  readonly files: readonly PredictedFile[];
  readonly json: boolean;
}

/** Prints one line per row, and a summary of the rows with a known answer. A file that cannot be read is reported, the others are used, and the status is 2. */
export function predictTable({ directory, run, preprocessing, files, json }: TableRequest): Promise<number> {
  const reading = readingOf(directory, preprocessing);
  const { engine, config, model } = run;
  const encodings = new Map(preprocessing.columns.map((column) => [column.name, column]));
  const targets = reading.targets.flatMap((name) => encodings.get(name) ?? []);
  return predictFiles(files, json, async ({ file, path }, summary) => {
    const { lines, inputs, answers, notes } = await readTableInputs(path, preprocessing, reading);
    for (const note of notes) process.stderr.write(`Warning: ${note}\n`);
    const rows = predictRows(engine.tf, {
      model,
      count: lines.length,
      inputs,
      targets,
      loss: config.loss,
      batchSize: config.evalBatchSize,
    });
    for (const [i, predictions] of rows.entries()) {
      for (const prediction of predictions) {
        const answer = answers.get(prediction.target)?.[i] ?? '';
        compare(summary, prediction, answer, encodings.get(prediction.target), reading.decimal);
      }
      process.stdout.write(`${(json ? jsonOf : textOf)(file, lines[i] ?? 0, predictions, encodings)}\n`);
    }
  });
}

/** Adds a prediction to the summary if the row states its answer. */
function compare(
  summary: PredictionSummary,
  prediction: TargetPrediction,
  answer: string,
  encoding: ColumnEncoding | undefined,
  decimal: string,
): void {
  if (answer === '') return;
  if ('value' in prediction) {
    const number = Number(answer.replace(decimal, '.'));
    if (Number.isFinite(number)) summary.addNumber(prediction.target, prediction.value, number);
    return;
  }
  // A name that the training did not have is a class of its own, which no prediction can be.
  const label = encoding?.kind === 'category' ? encoding.values.indexOf(answer) : -1;
  summary.addClass(prediction.target, prediction.ranked[0]?.label ?? 0, label);
}

type Encodings = ReadonlyMap<string, ColumnEncoding>;

function classNamesOf(encodings: Encodings, target: string): readonly string[] {
  const encoding = encodings.get(target);
  return encoding?.kind === 'category' ? encoding.values : [];
}

function jsonOf(
  file: string,
  line: number,
  predictions: readonly TargetPrediction[],
  encodings: Encodings,
): string {
  const targets = predictions.map((prediction) => {
    if ('value' in prediction) return prediction;
    const names = classNamesOf(encodings, prediction.target);
    const named = ({ label, probability }: RankedClass) => ({
      label,
      name: names[label] ?? null,
      probability,
    });
    const ranked = prediction.ranked.map(named);
    return { target: prediction.target, ...ranked[0], ranked };
  });
  const where = isJsonFile(file) ? { row: line } : { line };
  return JSON.stringify({ event: 'prediction', file, ...where, targets });
}

function textOf(
  file: string,
  line: number,
  predictions: readonly TargetPrediction[],
  encodings: Encodings,
): string {
  const shown = predictions.map((prediction) => {
    const { target } = prediction;
    if ('value' in prediction) return `${target} ${Number(prediction.value.toPrecision(6))}`;
    const names = classNamesOf(encodings, target);
    const percent = (probability: number): string => `${(probability * 100).toFixed(1)}%`;
    const [best, ...others] = prediction.ranked.map(
      ({ label, probability }) => [names[label] ?? String(label), percent(probability)] as const,
    );
    const rest = others.slice(0, 2).map((one) => one.join(' '));
    return `${target} ${best?.[0] ?? ''} (${best?.[1] ?? ''}; then ${rest.join(', ')})`;
  });
  return `${file}, ${isJsonFile(file) ? 'row' : 'line'} ${line}: ${shown.join(', ')}`;
}
