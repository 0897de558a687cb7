/** Saves an imported model in a run's folder. */

import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { takeLease } from '../../launcher/lease.js';
import { modelFolder } from '../../shared/artefacts/artefact.js';
import type { ResolvedConfig } from '../../shared/config/run-config.js';
import { ConfigError } from '../../shared/errors.js';
import { saveModel } from '../../worker/model-files/save-model.js';
import { host } from '../environment/environment.js';
import { createRunFolder, moveRunAside, stateOfFolder } from './run-folder.js';
import { configName } from './saved-run.js';

/**
 * Saves the model while this process holds the lease of the folder, so that no run starts in it meanwhile. Returns the path of
 * model.json.
 * @throws ConfigError if the folder holds a run or a model and `--fresh` is not given, or if another process leads a run in it
 * @throws CheckpointError if the model can't be written
 */
export async function saveImported(
  model: LayersModel,
  config: ResolvedConfig,
  flags: { readonly out?: string; readonly fresh?: boolean },
): Promise<string> {
  const out = flags.out === undefined ? createRunFolder(new Date()) : resolve(flags.out);
  const lease = await takeLease({ out, host });
  try {
    if (flags.out !== undefined) await checkFolder(out, flags.fresh === true);
    const path = await saveModel(model, join(out, modelFolder));
    await writeFile(join(out, configName), `${JSON.stringify(config, null, 2)}\n`);
    return path;
  } finally {
    await lease.release();
  }
}

/** Moves a run or a model aside with `--fresh`. @throws ConfigError if there is one, and `--fresh` is not given */
async function checkFolder(out: string, fresh: boolean): Promise<void> {
  if ((await stateOfFolder(out)).kind === 'new') return;
  if (!fresh)
    throw new ConfigError(
      `--out ${out}: expected a new folder, got one with a run or a model. Choose another, or move it aside with --fresh.`,
      { out },
    );
  process.stderr.write(`The earlier run in ${out} is now in ${await moveRunAside(out)}\n`);
}
