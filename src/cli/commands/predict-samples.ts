/** `lockstep predict` with samples in JSON or CSV files, for a model of any input shape. */

import { readCsvSamples, type CsvSample } from '../../api/data/csv-samples.js';
import { isJsonFile, readJsonSamples, type JsonSample } from '../../api/data/json-samples.js';
import { normalizationOf } from '../../shared/data/preprocessing.js';
import { DataError } from '../../shared/errors.js';
import { predictSample, type OutputPrediction } from '../../worker/predict/predict-samples.js';
import { predictFiles, type PredictedFile } from './predict-files.js';
import type { SavedRun } from '../runs/open-saved-run.js';

export interface SamplesRequest {
  readonly run: Pick<SavedRun, 'engine' | 'config' | 'model' | 'preprocessing'>;
  readonly files: readonly PredictedFile[];
  /** Names of the classes in order; empty if there are none. */
  readonly names: readonly string[];
  readonly json: boolean;
}

/**
 * Prints one line per sample, and a summary of the samples that state their class. A file that cannot be read is reported, the others
 * are used, and the status is 2.
 */
export function predictSamples({ run, files, names, json }: SamplesRequest): Promise<number> {
  const { engine, config, model, preprocessing } = run;
  const inputs = model.inputs.map(({ name, shape }) => ({ name, shape: shape.slice(1) }));
  // Pixels of a run on pictures are numbers from 0 to 255, as in its training.
  const pixels = preprocessing?.kind === 'pictures' ? normalizationOf(config, preprocessing) : undefined;
  const prepared = (sample: JsonSample): JsonSample => {
    if (!pixels) return sample;
    const normalized = (value: number): number => (value / 255 - pixels.mean) / pixels.std;
    return {
      ...sample,
      inputs: sample.inputs.map(({ values, shape }) => ({ values: values.map(normalized), shape })),
    };
  };
  return predictFiles(files, json, async ({ file, path }, summary) => {
    const samples: readonly (JsonSample | CsvSample)[] = isJsonFile(path)
      ? await readJsonSamples(path, inputs)
      : await readCsvSamples(path, inputs);
    for (const [i, sample] of samples.entries()) {
      const where = 'line' in sample ? { line: sample.line } : { sample: i + 1 };
      const place = `${file}, ${'line' in sample ? `line ${sample.line}` : `sample ${i + 1}`}`;
      const outputs = predictSample(engine.tf, model, config.loss, prepared(sample));
      const label = labelOf(sample, names, place);
      const [first] = outputs;
      if (label !== undefined && first && 'ranked' in first)
        summary.addClass(first.output, first.ranked[0]?.label ?? 0, label);
      const line = json
        ? JSON.stringify({
            event: 'prediction',
            file,
            ...where,
            outputs: outputs.map((one) => named(one, names)),
          })
        : `${place}: ${outputs.map((one) => textOf(one, names, outputs.length > 1)).join('; ')}`;
      process.stdout.write(`${line}\n`);
    }
  });
}

function labelOf({ label }: JsonSample, names: readonly string[], place: string): number | undefined {
  if (typeof label !== 'string') return label;
  const found = names.indexOf(label);
  if (found >= 0) return found;
  throw new DataError(
    `${place}: expected the number of a class or one of its names (${names.join(', ') || 'the run has none; name them with --classes'}), got "${label}".`,
  );
}

/** A prediction with class names, and values as nested lists. */
function named(prediction: OutputPrediction, names: readonly string[]): object {
  if ('values' in prediction) {
    const { output, shape, values } = prediction;
    return { output, values: nested(values, shape) };
  }
  const ranked = prediction.ranked.map(({ label, probability }) => ({
    label,
    ...(names[label] === undefined ? {} : { name: names[label] }),
    probability,
  }));
  return { output: prediction.output, ...ranked[0], ranked };
}

function nested(values: readonly number[], [size, ...rest]: readonly number[]): unknown {
  if (size === undefined) return values[0];
  const step = values.length / size;
  return Array.from({ length: size }, (_, i) => nested(values.slice(i * step, (i + 1) * step), rest));
}

function textOf(prediction: OutputPrediction, names: readonly string[], withOutput: boolean): string {
  const prefix = withOutput ? `${prediction.output} ` : '';
  if ('values' in prediction) {
    const shown = prediction.values.slice(0, 8).map((value) => String(Number(value.toPrecision(6))));
    return `${prefix}${shown.join(', ')}${prediction.values.length > 8 ? ', … (all with --json)' : ''}`;
  }
  const percent = (probability: number): string => `${(probability * 100).toFixed(1)}%`;
  const [best, ...others] = prediction.ranked.map(
    ({ label, probability }) => [names[label] ?? String(label), percent(probability)] as const,
  );
  const rest = others.slice(0, 2).map((one) => one.join(' '));
  return `${prefix}${best?.[0] ?? ''} (${best?.[1] ?? ''}; then ${rest.join(', ')})`;
}
