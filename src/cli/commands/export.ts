/** `lockstep export`: a saved model in the format of another program. */

import { lstat, readdir } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { ConfigError } from '../../shared/errors.js';
import { exportModel } from '../../worker/export/export-model.js';
import type { ExportFormat, WeightLayout } from '../../worker/export/formats.js';
import { exitStatus } from '../exit.js';
import { openSavedRun } from '../runs/saved-run.js';
import { version } from '../version.js';

export interface ExportFlags {
  readonly format: ExportFormat;
  readonly layout: WeightLayout;
  readonly out?: string;
  readonly engine: string;
  readonly json?: boolean;
  /** Set by the process that a person started; see quiet-child.ts. */
  readonly launched?: boolean;
}

/** What is written into the run's folder when nobody names a place. */
const names: Readonly<Record<ExportFormat, string>> = {
  tfjs: 'tfjs',
  safetensors: 'model.safetensors',
  onnx: 'model.onnx',
  savedmodel: 'saved_model',
};

/** By which a folder is known to be an earlier export. */
const marks: readonly string[] = ['model.json', 'saved_model.pb'];

/** @throws ConfigError, ModelError, EngineError, CheckpointError */
export async function exportSaved(directory: string, flags: ExportFlags): Promise<number> {
  const { format, layout } = flags;
  if (layout !== 'tfjs' && format !== 'safetensors')
    throw new ConfigError(`--layout ${layout}: expected --format safetensors, got ${format}.`);
  const out = resolve(flags.out ?? join(directory, names[format]));
  await checkPlace(out, format);
  const { model, config } = await openSavedRun(directory, flags.engine);
  const path = await exportModel(model, { format, layout, out, version });
  // Only what is trained on pictures is normalized; other inputs are as the data source gives them.
  const takesPictures = model.inputs.length === 1 && model.inputs[0]?.shape.length === 4;
  model.dispose();
  const { mean, std } = config.normalize;
  const inputs = takesPictures
    ? `Inputs are pixels as (x / 255 - ${mean}) / ${std}, channels last`
    : 'Inputs are what the data source gives';
  if (flags.json === true) process.stdout.write(`${JSON.stringify({ event: 'export', format, path })}\n`);
  else process.stdout.write(`${path}\n${inputs}; outputs are what the model gives.\n`);
  return exitStatus.done;
}

/** A folder is replaced only when it holds an export: never a person's own. */
async function checkPlace(out: string, format: ExportFormat): Promise<void> {
  const found = await lstat(out).catch(() => undefined);
  const wantsFolder = format === 'tfjs' || format === 'savedmodel';
  if (!found || (!wantsFolder && found.isFile())) return;
  const content = found.isDirectory() ? await readdir(out) : [];
  if (
    wantsFolder &&
    found.isDirectory() &&
    (content.length === 0 || content.some((name) => marks.includes(name)))
  )
    return;
  throw new ConfigError(
    `--out ${out}: expected a new ${wantsFolder ? 'folder' : 'file'} or an earlier export, got ` +
      `${found.isDirectory() ? 'a folder with other things' : `the file ${basename(out)}`}. Choose another name.`,
  );
}
