/** Opens what a run has left, for the commands that use it. */

import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { LayersModel } from '@tensorflow/tfjs';
import { describeIssues, resolveConfig } from '../shared/config/resolve.js';
import { resolvedConfigSchema, runConfigSchema, type ResolvedConfig } from '../shared/config/run-config.js';
import { ConfigError, systemCode } from '../shared/errors.js';
import type { Engine, EngineChoice } from '../worker/engine/load.js';
import { openModel, readModelFiles } from '../worker/load-model.js';
import { loadWorkerEngine } from './load-worker-engine.js';

export interface SavedRun {
  readonly engine: Engine;
  readonly config: ResolvedConfig;
  readonly model: LayersModel;
}

/** @throws ConfigError, ModelError, EngineError */
export async function openSavedRun(directory: string, choice: string): Promise<SavedRun> {
  const engineChoice = runConfigSchema.shape.engine.safeParse(choice);
  if (!engineChoice.success) {
    throw new ConfigError(`--engine: expected auto, tensorflow or js, got "${choice}".`);
  }
  const saved = await readConfig(join(directory, 'config.json'));
  const engineName: EngineChoice = engineChoice.data;
  const config = { ...saved, engine: engineName };
  // Before the engine, which takes seconds to load.
  const files = await readModelFiles(directory);
  const engine = await loadWorkerEngine(config, 'auto', (message) =>
    process.stderr.write(`Warning: ${message}\n`),
  );
  return { engine, config, model: await openModel(engine.tf, files) };
}

/** A run's config; defaults for a model that no run is around. */
async function readConfig(file: string): Promise<ResolvedConfig> {
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
