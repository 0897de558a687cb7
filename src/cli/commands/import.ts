/** `lockstep import`: makes a saved model, which every other command accepts, from weights that were trained in PyTorch. */

import { readFile } from 'node:fs/promises';
import { decodeSafetensors } from '../../shared/checkpoint/safetensors.js';
import { DataError, systemCode } from '../../shared/errors.js';
import { exitStatus } from '../../shared/exit-status.js';
import { assignTorchWeights, pairModules } from '../../worker/import/torch-weights.js';
import { buildModel } from '../../worker/training/build-model.js';
import { loadWorkerEngine } from '../engine/load-worker-engine.js';
import { readModelSetup } from '../options/model-setup.js';
import { saveImported } from '../runs/save-imported.js';

export interface ImportFlags {
  readonly config?: string;
  readonly order?: string;
  readonly out?: string;
  readonly fresh?: boolean;
  readonly engine: string;
  readonly allowSoftwareGpu?: boolean;
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
  const allowSoftwareGpu = config.allowSoftwareGpu || flags.allowSoftwareGpu === true;
  const engine = await loadWorkerEngine({ ...config, allowSoftwareGpu }, 'auto', (message) =>
    process.stderr.write(`Warning: ${message}\n`),
  );
  const model = await buildModel(engine, config, definition);
  const pairs = pairModules(weights, model, file, flags.order?.split(','));
  const pairing = assignTorchWeights(engine.tf, weights, pairs);
  const path = await saveImported(model, config, flags).finally(() => model.dispose());
  if (flags.json === true) process.stdout.write(`${JSON.stringify({ event: 'import', path, pairing })}\n`);
  else {
    for (const { module, layer } of pairing) process.stdout.write(`${module} -> ${layer}\n`);
    process.stdout.write(`${path}\n`);
  }
  return exitStatus.done;
}
