/** Opens the model of a finished run, with the run's training definition if it is named or needed. */

import { resolve } from 'node:path';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { readDefinitionRecord, type CopyInRun } from '../../api/definition-place.js';
import { loadDefinition, type LoadedDefinition } from '../../api/load-definition.js';
import { runConfigSchema, type ResolvedConfig } from '../../shared/config/run-config.js';
import type { Preprocessing } from '../../shared/data/preprocessing.js';
import { ConfigError } from '../../shared/errors.js';
import type { Engine, EngineChoice } from '../../worker/engine/engine.js';
import { openModel, readModelFiles } from '../../worker/model-files/load-model.js';
import { readPreprocessing } from '../../worker/model-files/preprocessing-file.js';
import { buildModel } from '../../worker/training/build-model.js';
import { loadWorkerEngine } from '../engine/load-worker-engine.js';
import { definitionCache } from '../environment/environment.js';
import { openDefinitionCopy } from './definition-copy.js';
import { compiledFields, readRunConfig } from './saved-run.js';

export interface SavedRun {
  readonly engine: Engine;
  readonly config: ResolvedConfig;
  readonly model: LayersModel;
  /** The conversion of inputs that was saved with the model. */
  readonly preprocessing: Preprocessing | undefined;
  /** The training definition, if it was named or needed. */
  readonly definition: LoadedDefinition | undefined;
}

export interface SavedRunOptions {
  readonly engine: string;
  readonly allowSoftwareGpu?: boolean;
  /** The definition that the user names; default: the run's own copy, if it is needed. */
  readonly config?: string;
  /** Returns true if the definition is needed for more than the classes of the model. */
  readonly needs?: (record: CopyInRun['record'], config: ResolvedConfig) => boolean;
}

/**
 * @param directory absolute path: if the run's copy of the definition is executed, the working folder changes
 * @throws ConfigError, ModelError, EngineError
 */
export async function openSavedRun(
  directory: string,
  { engine: choice, allowSoftwareGpu = false, config: named, needs }: SavedRunOptions,
): Promise<SavedRun> {
  const engineChoice = runConfigSchema.shape.engine.safeParse(choice);
  if (!engineChoice.success) {
    const { options } = runConfigSchema.shape.engine.unwrap();
    throw new ConfigError(`--engine: expected one of ${options.join(', ')}, got "${choice}".`);
  }
  // All files are read before the engine, which takes seconds to load, so that an error appears at once.
  const saved = await readRunConfig(directory);
  const given = named === undefined ? undefined : await loadDefinition(resolve(named), definitionCache());
  const files = await readModelFiles(directory);
  const compiled = await compiledFields(files.file);
  const preprocessing = await readPreprocessing(files.file);
  const record = given ? undefined : await readDefinitionRecord(directory);
  const engineName: EngineChoice = engineChoice.data;
  const config = { ...saved, ...compiled, engine: engineName, allowSoftwareGpu };
  const engine = await loadWorkerEngine(config, 'auto', warn);
  let definition = given;
  const takeCopy = async (): Promise<void> => {
    if (record) definition ??= await openDefinitionCopy(directory, record, warn);
  };
  if (record && needs?.(record, config) === true) await takeCopy();
  // A definition may register its layers in the function that builds its model.
  const register = async (): Promise<void> => {
    await takeCopy();
    if (definition) (await buildModel(engine, config, definition)).dispose();
  };
  return { engine, config, model: await openModel(engine.tf, files, register), preprocessing, definition };
}

function warn(message: string): void {
  process.stderr.write(`Warning: ${message}\n`);
}
