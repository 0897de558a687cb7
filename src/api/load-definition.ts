/**
 * Loads a `lockstep.config.ts` or `.js`. Coordinator and workers load the same file and compare its SHA-256, since
 * functions can't be sent.
 */

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createJiti, type JitiOptions } from 'jiti';
import { useExactMath } from '../shared/arithmetic/exact-math.js';
import { ConfigError, systemCode } from '../shared/errors.js';
import { keepDeepStacks, placeOf } from '../shared/user-code.js';
import type { Callbacks } from './callbacks.js';
import { copyAt, verifiedCopy, type OriginalPlace } from './definition-place.js';
import { isCacheTrouble, usableCache } from './transpile-cache.js';
import { isTrainingDefinition, type DataSource, type ModelContext } from './define-training.js';
import { separateFunctions, type DefinitionFunctions } from './definition-functions.js';
import { hooksOf, type TrainingHooks } from './training-hooks.js';
import type { LayersModel } from '@tensorflow/tfjs-layers';

export interface LoadedDefinition {
  readonly path: string;
  /** Hash of the file's bytes. */
  readonly sha256: string;
  readonly model: (context: ModelContext) => LayersModel | Promise<LayersModel>;
  /** Undefined if the configuration's `data` names the data. */
  readonly source: DataSource | undefined;
  readonly callbacks: readonly Callbacks[];
  /** Losses, metrics and augmentations that are functions. */
  readonly functions: DefinitionFunctions;
  /** Present in the definition of `fit`. */
  readonly hooks?: TrainingHooks;
  /** The plain values; functions are replaced by `custom`. */
  readonly values: Readonly<Record<string, unknown>>;
}

/**
 * @param cache folder of transpiled files; see transpile-cache.ts
 * @param given set if the file is a copy that has been verified; a copy in a run's folder is also recognized by its path
 * @throws ConfigError if the file is missing, cannot be loaded, or exports no training definition
 */
export async function loadDefinition(
  path: string,
  cache?: string,
  given?: OriginalPlace,
): Promise<LoadedDefinition> {
  const sha256 = await definitionSha256(path);
  const copied = given ? undefined : await copyAt(path);
  const verified = copied && (await verifiedCopy(copied));
  const original = given ?? verified?.place;
  // The results of Math functions in the file must not depend on the version of Node.
  useExactMath();
  keepDeepStacks();
  let exported: unknown;
  try {
    exported = await evaluate(
      verified?.path ?? path,
      cache === undefined || original ? undefined : usableCache(cache),
      original,
    );
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigError(`Config file ${path} can't be loaded: ${reason}${placeOf(cause)}`, { path }, cause);
  }
  if (!isTrainingDefinition(exported)) {
    throw new ConfigError(
      `Config file ${path}: expected a default export made by defineTraining({ model, ... }), got ${typeof exported}. ` +
        "Write `import { defineTraining } from 'lockstep'; export default defineTraining({ ... })`.",
      { path },
    );
  }
  const { model, data, callbacks = [], ...values } = exported;
  if (typeof model !== 'function') {
    throw new ConfigError(`Config file ${path}: model: expected a function, got ${typeof model}.`, { path });
  }
  if (!Array.isArray(callbacks)) {
    throw new ConfigError(`Config file ${path}: callbacks: expected a list, got ${typeof callbacks}.`, {
      path,
    });
  }
  const source = typeof data === 'object' ? data : undefined;
  const { plain, functions } = separateFunctions(values);
  if (typeof data === 'string') plain['data'] = data;
  const hooks = hooksOf(exported);
  return { path, sha256, model, source, callbacks, functions, values: plain, ...(hooks && { hooks }) };
}

/** Returns the default export. */
async function evaluate(
  path: string,
  cache: string | undefined,
  original: OriginalPlace | undefined,
): Promise<unknown> {
  // `import { defineTraining } from 'lockstep'` must work in any folder.
  const own = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
  const alias = {
    ...original?.packages,
    lockstep: own('../index.js'),
    // The generated definition of `fit` imports it.
    'lockstep-fit': own('fit/definition.js'),
  };
  const options = { alias, moduleCache: false, fsCache: cache ?? false };
  const jiti = createJiti(import.meta.url, {
    ...options,
    ...(original && { transform: asOriginal(original) }),
  });
  try {
    return await jiti.import(path, { default: true });
  } catch (error) {
    if (cache === undefined || !isCacheTrouble(error, cache)) throw error;
    return evaluate(path, undefined, original);
  }
}

/** Translates copied files so that their own path is that of the original, while they import each other. */
function asOriginal({ copy, root }: OriginalPlace): NonNullable<JitiOptions['transform']> {
  const plain = createJiti(import.meta.url, { moduleCache: false, fsCache: false });
  return (options) => {
    const { filename = '' } = options;
    if (!filename.startsWith(copy + sep)) return { code: plain.transform(options) };
    const place = join(root, filename.slice(copy.length + 1));
    const code = plain.transform({ ...options, filename: place });
    const names = `__filename=${JSON.stringify(place)};__dirname=${JSON.stringify(dirname(place))};`;
    return { code: `"use strict";${names}${code}` };
  };
}

/** Returns the hash of the file's bytes without executing it. @throws ConfigError if it cannot be read */
export async function definitionSha256(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readSource(path))
    .digest('hex');
}

async function readSource(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new ConfigError(
      `Config file ${path} can't be read (${systemCode(cause) ?? 'unknown error'}). Check --config.`,
      { path },
      cause,
    );
  }
}
