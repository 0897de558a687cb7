/** `lockstep import`: makes a saved model, which every other command accepts, from weights that were trained in PyTorch. */

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { decodeSafetensors } from '../../shared/checkpoint/safetensors.js';
import { CheckpointError, ConfigError, DataError, systemCode } from '../../shared/errors.js';
import { exitStatus } from '../../shared/exit-status.js';
import { assignTorchWeights, pairModules } from '../../worker/import/torch-weights.js';
import { modelFolder, saveModel } from '../../worker/model-files/save-model.js';
import { buildModel } from '../../worker/training/build-model.js';
import { loadWorkerEngine } from '../engine/load-worker-engine.js';
import { readModelSetup } from '../options/model-setup.js';
import { createRunFolder, moveRunAside, stateOfFolder } from '../runs/run-folder.js';
import { configName } from '../runs/saved-run.js';

export interface ImportFlags {
  readonly config?: string;
  readonly order?: string;
  readonly out?: string;
  readonly fresh?: boolean;
  readonly engine: string;
  readonly json?: boolean;
  /** Set in the child process; see launcher/quiet-child.ts. */
  readonly launched?: boolean;
}

/**
 * Resolves with the exit status.
 * @throws DataError if the weights do not fit the model
 * @throws ConfigError, ModelError, EngineError, CheckpointError
 */
export async function importWeights(file: string, flags: ImportFlags): Promise<number> {
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw new DataError(
      `Weights ${file} can't be read (${systemCode(cause) ?? 'unknown error'}).`,
      { file },
      cause,
    );
  });
  const weights = decodeSafetensors(bytes, file);
  const { config, definition } = await readModelSetup(flags);
  const engine = await loadWorkerEngine(config, 'auto', (message) =>
    process.stderr.write(`Warning: ${message}\n`),
  );
  const model = await buildModel(engine, config, definition);
  const pairs = pairModules(weights, model, file, flags.order?.split(','));
  const pairing = assignTorchWeights(engine.tf, weights, pairs);
  const out = await folderOf(flags);
  const path = await saveModel(model, join(out, modelFolder));
  await writeFile(join(out, configName), `${JSON.stringify(config, null, 2)}\n`);
  model.dispose();
  if (flags.json === true) process.stdout.write(`${JSON.stringify({ event: 'import', path, pairing })}\n`);
  else {
    for (const { module, layer } of pairing) process.stdout.write(`${module} -> ${layer}\n`);
    process.stdout.write(`${path}\n`);
  }
  return exitStatus.done;
}

/** @throws ConfigError if `--out` holds a run or a model, and `--fresh` is not given */
async function folderOf({ out: named, fresh = false }: ImportFlags): Promise<string> {
  if (named === undefined) return createRunFolder(new Date());
  const out = resolve(named);
  if ((await stateOfFolder(out)).kind !== 'new') {
    if (!fresh)
      throw new ConfigError(
        `--out ${out}: expected a new folder, got one with a run or a model. Choose another, or move it aside with --fresh.`,
        { out },
      );
    process.stderr.write(`The earlier run in ${out} is now in ${await moveRunAside(out)}\n`);
  }
  return createFolder(out);
}

async function createFolder(out: string): Promise<string> {
  await mkdir(out, { recursive: true }).catch((cause: unknown) => {
    throw new CheckpointError(
      `Folder ${out} can't be made (${systemCode(cause) ?? 'unknown error'}). Choose another --out.`,
      { out },
      cause,
    );
  });
  return out;
}
