/** `lockstep import`: weights that were trained in PyTorch, as a saved model that every other command takes. */

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { loadDefinition } from '../../api/load-definition.js';
import { decodeSafetensors } from '../../shared/checkpoint/safetensors.js';
import { mergeConfig, resolveConfig } from '../options/resolve.js';
import { CheckpointError, DataError, systemCode } from '../../shared/errors.js';
import { assignTorchWeights, pairModules } from '../../worker/import/torch-weights.js';
import { buildModel } from '../../worker/training/build-replica.js';
import { modelFolder, saveModel } from '../../worker/model-files/save-model.js';
import { definitionCache, environmentLayers, machine } from '../options/environment.js';
import { exitStatus } from '../exit.js';
import { loadWorkerEngine } from '../load-worker-engine.js';
import { defaultOut } from '../reporters/event-log.js';
import { configName } from '../runs/saved-run.js';
import { definitionPath } from '../options/train-options.js';

export interface ImportFlags {
  readonly config?: string;
  readonly order?: string;
  readonly out?: string;
  readonly engine: string;
  readonly json?: boolean;
  /** Set by the process that a person started; see quiet-child.ts. */
  readonly launched?: boolean;
}

/** @throws ConfigError, DataError when the weights aren't the model's, ModelError, EngineError, CheckpointError */
export async function importWeights(file: string, flags: ImportFlags): Promise<number> {
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw new DataError(
      `Weights ${file} can't be read (${systemCode(cause) ?? 'unknown error'}).`,
      { file },
      cause,
    );
  });
  const weights = decodeSafetensors(bytes, file);
  const definition = await loadDefinition(definitionPath(flags.config), definitionCache());
  const merged = mergeConfig([
    { source: definition.path, values: definition.values },
    ...environmentLayers(),
    { source: '--engine', values: { engine: flags.engine } },
  ]);
  const { cores, present } = machine('cpu');
  const data = merged.data === null ? null : resolve(merged.data);
  const config = resolveConfig({ ...merged, data }, { cores, gpus: present });
  const engine = await loadWorkerEngine(config, 'auto', (message) =>
    process.stderr.write(`Warning: ${message}\n`),
  );
  const model = await buildModel(engine, config, definition);
  const pairs = pairModules(weights, model, file, flags.order?.split(','));
  const pairing = assignTorchWeights(engine.tf, weights, pairs);
  const out = flags.out === undefined ? defaultOut(new Date()) : resolve(flags.out);
  const path = await saveModel(model, join(await makeFolder(out), modelFolder));
  await writeFile(join(out, configName), `${JSON.stringify(config, null, 2)}\n`);
  model.dispose();
  if (flags.json === true) process.stdout.write(`${JSON.stringify({ event: 'import', path, pairing })}\n`);
  else {
    for (const { module, layer } of pairing) process.stdout.write(`${module} -> ${layer}\n`);
    process.stdout.write(`${path}\n`);
  }
  return exitStatus.done;
}

async function makeFolder(out: string): Promise<string> {
  await mkdir(out, { recursive: true }).catch((cause: unknown) => {
    throw new CheckpointError(
      `Folder ${out} can't be made (${systemCode(cause) ?? 'unknown error'}). Choose another --out.`,
      { out },
      cause,
    );
  });
  return out;
}
