/** `lockstep export`: writes a saved model in the format of another program. */

import { lstat, readdir } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { normalizationOf } from '../../shared/data/preprocessing.js';
import { ConfigError } from '../../shared/errors.js';
import { exportModel } from '../../worker/export/export-model.js';
import { exportNames, type ExportFormat, type WeightLayout } from '../../worker/export/formats.js';
import { exitStatus } from '../../shared/exit-status.js';
import { openSavedRun } from '../runs/open-saved-run.js';
import { version } from '../version.js';

export interface ExportFlags {
  readonly format: ExportFormat;
  readonly layout: WeightLayout;
  readonly config?: string;
  readonly out?: string;
  readonly engine: string;
  readonly json?: boolean;
  /** Set in the child process; see launcher/quiet-child.ts. */
  readonly launched?: boolean;
}

/** The files of an export to a folder. A folder with any other file is not replaced. */
const folderFiles: Readonly<Partial<Record<ExportFormat, readonly string[]>>> = {
  tfjs: ['model.json', 'weights.bin'],
  savedmodel: ['saved_model.pb'],
};

/** Resolves with the exit status. @throws ConfigError, ModelError, EngineError, CheckpointError */
export async function exportSaved(run: string, flags: ExportFlags): Promise<number> {
  const directory = resolve(run);
  const { format, layout } = flags;
  if (layout !== 'tfjs' && format !== 'safetensors')
    throw new ConfigError(`--layout ${layout}: expected --format safetensors, got ${format}.`);
  const out = resolve(flags.out ?? join(directory, exportNames[format]));
  await checkTarget(out, format);
  const { model, config, preprocessing } = await openSavedRun(directory, flags);
  const path = await exportModel(model, { format, layout, out, version });
  // Only pictures are normalized; other inputs stay as the data source provides them.
  const takesPictures = model.inputs.length === 1 && model.inputs[0]?.shape.length === 4;
  model.dispose();
  const { mean, std } = normalizationOf(config, preprocessing);
  const inputs = takesPictures
    ? `Inputs are pixels as (x / 255 - ${mean}) / ${std}, channels last`
    : 'Inputs are the values that the data source provides';
  if (flags.json === true) process.stdout.write(`${JSON.stringify({ event: 'export', format, path })}\n`);
  else process.stdout.write(`${path}\n${inputs}; outputs are the raw outputs of the model.\n`);
  return exitStatus.done;
}

/** Only a folder that contains an earlier export of the format, and nothing else, is replaced. */
async function checkTarget(out: string, format: ExportFormat): Promise<void> {
  const found = await lstat(out).catch(() => undefined);
  const files = folderFiles[format];
  const isFolder = files !== undefined;
  if (!found || (!isFolder && found.isFile())) return;
  const content = found.isDirectory() ? await readdir(out) : [];
  if (isFolder && found.isDirectory() && content.every((name) => files.includes(name))) return;
  throw new ConfigError(
    `--out ${out}: expected a new ${isFolder ? 'folder' : 'file'} or an earlier export, got ` +
      `${found.isDirectory() ? 'a folder with other files' : `the file ${basename(out)}`}. Choose another name.`,
  );
}
