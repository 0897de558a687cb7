/** Opens the files of a finished run: its configuration, its event log and its model. */

import { open, readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { LayersModel } from '@tensorflow/tfjs';
import type { LoadedDefinition } from '../../api/load-definition.js';
import { describeIssues, resolveConfig } from '../options/resolve.js';
import { resolvedConfigSchema, runConfigSchema, type ResolvedConfig } from '../../shared/config/run-config.js';
import type { Preprocessing } from '../../shared/data/preprocessing.js';
import { ConfigError, systemCode } from '../../shared/errors.js';
import type { Engine, EngineChoice } from '../../worker/engine/load.js';
import { compiledName, modelFolder } from '../../worker/model-files/save-model.js';
import { openModel, readModelFiles } from '../../worker/model-files/load-model.js';
import { readPreprocessing } from '../../worker/model-files/preprocessing-file.js';
import { buildModel } from '../../worker/training/build-model.js';
import { loadWorkerEngine } from '../engine/load-worker-engine.js';

/** Name of the configuration file in a run's folder. */
export const configName = 'config.json';

export interface SavedRun {
  readonly engine: Engine;
  readonly config: ResolvedConfig;
  readonly model: LayersModel;
  /** The conversion of inputs that was saved with the model. */
  readonly preprocessing: Preprocessing | undefined;
}

/**
 * @param definition registers the model's own layers, if it has any
 * @throws ConfigError, ModelError, EngineError
 */
export async function openSavedRun(
  directory: string,
  choice: string,
  definition?: LoadedDefinition,
): Promise<SavedRun> {
  const engineChoice = runConfigSchema.shape.engine.safeParse(choice);
  if (!engineChoice.success) {
    const { options } = runConfigSchema.shape.engine.unwrap();
    throw new ConfigError(`--engine: expected one of ${options.join(', ')}, got "${choice}".`);
  }
  const saved = { ...(await readRunConfig(directory)), ...(await compiledFields(directory)) };
  const engineName: EngineChoice = engineChoice.data;
  const config = { ...saved, engine: engineName };
  // Before the engine, which takes seconds to load, so that an error appears at once.
  const files = await readModelFiles(directory);
  const preprocessing = await readPreprocessing(files.file);
  const engine = await loadWorkerEngine(config, 'auto', (message) =>
    process.stderr.write(`Warning: ${message}\n`),
  );
  // A definition may register its layers in the function that builds its model.
  const register = async (): Promise<void> => {
    if (definition) (await buildModel(engine, config, definition)).dispose();
  };
  return { engine, config, model: await openModel(engine.tf, files, register), preprocessing };
}

/** The loss and the metrics that the definition's `model.compile` chose; none if the definition has its own. */
async function compiledFields(directory: string): Promise<Partial<Pick<ResolvedConfig, 'loss' | 'metrics'>>> {
  const file = join(directory, modelFolder, compiledName);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT' || systemCode(cause) === 'ENOTDIR') return {};
    throw new ConfigError(`${file} can't be read (${systemCode(cause) ?? 'unknown error'}).`, { file }, cause);
  }
  try {
    const { loss, metrics } = resolvedConfigSchema.parse(JSON.parse(text));
    return { loss, metrics };
  } catch (cause) {
    throw new ConfigError(
      `${file}: expected the configuration that a run has written, got other text. Restore the file.`,
      { file },
      cause,
    );
  }
}

/** Returns the SHA-256 of the data that a run was trained on, from its event log; undefined if there is no such log. */
export async function trainedOn(directory: string): Promise<string | undefined> {
  // The event precedes the first step. Even with thousands of workers the log is shorter than this until then.
  const head = Buffer.alloc(2 ** 20);
  try {
    const log = await open(join(directory, 'events.ndjson'));
    try {
      const { bytesRead } = await log.read(head, 0, head.length, 0);
      const start = /^\{"event":"start",.*"dataSha256":"([0-9a-f]{64})"/m.exec(
        head.toString('utf8', 0, bytesRead),
      );
      return start?.[1];
    } finally {
      await log.close();
    }
  } catch {
    // A model that was copied without its run, or a log that this user may not read.
    return undefined;
  }
}

/** Returns the configuration of a run, or the defaults for a model outside of a run's folder. @throws ConfigError */
export async function readRunConfig(directory: string): Promise<ResolvedConfig> {
  const file = join(directory, configName);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT' || systemCode(cause) === 'ENOTDIR') {
      return resolveConfig(runConfigSchema.parse({ workers: 1 }), {
        cores: availableParallelism(),
        gpus: [],
      });
    }
    throw new ConfigError(
      `Config ${file} can't be read (${systemCode(cause) ?? 'unknown error'}).`,
      { file },
      cause,
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new ConfigError(
      `Config ${file}: expected JSON, got other text. Restore the file, or delete it.`,
      { file },
      cause,
    );
  }
  const parsed = resolvedConfigSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new ConfigError(`Config ${file} is not valid:\n${describeIssues(parsed.error, value, () => '')}`, {
    file,
  });
}
