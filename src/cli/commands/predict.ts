/** `lockstep predict`: predicts from pictures, from the rows of tables, or from samples in JSON or CSV files, with a saved model. */

import { resolve } from 'node:path';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { decodePicture } from '../../api/data/picture.js';
import { normalizationOf, type Preprocessing } from '../../shared/data/preprocessing.js';
import { ConfigError, DataError, ModelError } from '../../shared/errors.js';
import { classify, type Pixels, type RankedClass } from '../../worker/predict/classify.js';
import { loadDigitImage } from '../../worker/predict/digit-image.js';
import { exitStatus } from '../../shared/exit-status.js';
import { describeError } from '../exit.js';
import { predictSamples } from './predict-samples.js';
import { predictTable } from './predict-table.js';
import { readClassNames } from '../runs/class-names.js';
import { openSavedRun } from '../runs/open-saved-run.js';

export interface PredictFlags {
  readonly config?: string;
  readonly engine: string;
  readonly json?: boolean;
  /** Class names in order, divided by commas, for a run that has none. */
  readonly classes?: string;
  /** Set in the child process; see launcher/quiet-child.ts. */
  readonly launched?: boolean;
}

/** Names of files with samples or rows as text. */
const textNames = /\.(json|jsonl|ndjson|csv|tsv)$/i;

/** Resolves with the exit status. A file that cannot be read is reported, the others are used, and the status is 2. */
export async function predict(run: string, files: readonly string[], flags: PredictFlags): Promise<number> {
  const directory = resolve(run);
  const given = files.map((file) => ({ file, path: resolve(file) }));
  const opened = await openSavedRun(directory, flags);
  const { engine, config, model, preprocessing } = opened;
  const json = flags.json === true;
  const own = preprocessing?.kind === 'pictures' ? preprocessing.classNames : undefined;
  const names =
    flags.classes?.split(',').map((name) => name.trim()) ?? own ?? (await readClassNames(directory));
  if (preprocessing?.kind === 'table') {
    const tableStatus = await predictTable({ directory, run: opened, preprocessing, files: given, json });
    model.dispose();
    return tableStatus;
  }
  const inText = given.filter(({ path }) => textNames.test(path));
  if (inText.length === given.length) {
    const textStatus = await predictSamples({ run: opened, files: given, names, json });
    model.dispose();
    return textStatus;
  }
  if (inText.length > 0) {
    throw new ConfigError(
      `predict: expected JSON and CSV files alone, or pictures alone, got ${inText.map(({ file }) => file).join(', ')} with pictures. ` +
        'Predict from them in a command of their own.',
    );
  }
  const reader = pictureReader(directory, model, preprocessing);
  const normalize = normalizationOf(config, preprocessing);
  let status: number = exitStatus.done;
  for (const { file, path } of given) {
    try {
      const ranked = classify(engine.tf, model, await reader(path), normalize);
      const [best, ...others] = ranked;
      if (!best) throw new ModelError(`Model in ${directory} has no outputs.`);
      if (json) {
        process.stdout.write(
          `${JSON.stringify({ event: 'prediction', file, ...named(best, names), ranked: ranked.map((one) => named(one, names)) })}\n`,
        );
      } else {
        const percent = (probability: number): string => `${(probability * 100).toFixed(1)}%`;
        const shown = ({ label }: RankedClass): string => names[label] ?? String(label);
        const rest = others.slice(0, 2).map((one) => `${shown(one)} ${percent(one.probability)}`);
        process.stdout.write(
          `${file}: ${shown(best)} (${percent(best.probability)}; then ${rest.join(', ')})\n`,
        );
      }
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      process.stderr.write(`${describeError(error)}\n`);
      status = exitStatus.usage;
    }
  }
  model.dispose();
  return status;
}

/** A class with its name, if the run has names. */
const named = (ranked: RankedClass, names: readonly string[]): RankedClass & { name?: string } => {
  const name = names[ranked.label];
  return name === undefined ? ranked : { label: ranked.label, name, probability: ranked.probability };
};

/**
 * Returns a function that reads a file as the training read its pictures. A model without saved preprocessing is one of MNIST-like
 * digits, for which a picture is laid out like MNIST's.
 * @throws ModelError if the model has another input than a picture
 */
function pictureReader(
  directory: string,
  { inputs }: LayersModel,
  preprocessing: Preprocessing | undefined,
): (file: string) => Promise<Pixels> {
  const [, height, width, channels] = inputs[0]?.shape ?? [];
  const sizes = (inputs[0]?.shape ?? [])
    .slice(1)
    .map((size) => size ?? 'any')
    .join(' x ');
  const refuse = (expected: string): ModelError =>
    new ModelError(
      `Model in ${directory}: expected an input of ${expected} for predictions from pictures, got ${sizes || 'one number'}. ` +
        'Write the samples as CSV (samples.csv, one column per number) or JSON (samples.json) to predict from any model.',
    );
  if (preprocessing?.kind === 'pictures') {
    const { height: rows, width: columns, channels: depth } = preprocessing;
    if (rows !== height || columns !== width || depth !== channels)
      throw refuse(`${rows} x ${columns} x ${depth} as in training`);
    const size = { height: rows, width: columns, channels: depth };
    return async (file) => ({ pixels: await decodePicture(file, preprocessing), ...size });
  }
  if (
    preprocessing ||
    typeof height !== 'number' ||
    typeof width !== 'number' ||
    (channels !== 1 && channels !== 3)
  )
    throw refuse('height x width x 1 or 3');
  if (channels === 3) {
    const format = { height, width, channels, background: '#ffffff' } as const;
    return async (file) => ({ pixels: await decodePicture(file, format), height, width, channels });
  }
  return async (file) => ({
    pixels: await loadDigitImage(file, { height, width }),
    height,
    width,
    channels: 1,
  });
}
