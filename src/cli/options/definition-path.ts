/** Finds the training definition that a command uses. */

import { existsSync, realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { definitionSha256 } from '../../api/load-definition.js';
import type { FoundCheckpoint } from '../../shared/checkpoint/read-checkpoint.js';
import { ConfigError } from '../../shared/errors.js';

/** The MNIST recipe, which is trained if there is no other definition. */
export const defaultDefinition = fileURLToPath(
  new URL('../../../examples/mnist/lockstep.config.ts', import.meta.url),
);

/** Returns the path that was given, else the definition in the working folder, else the MNIST recipe. */
export function definitionPath(given: string | undefined): string {
  if (given !== undefined) return resolve(given);
  for (const name of ['lockstep.config.ts', 'lockstep.config.js']) {
    if (existsSync(name)) return resolve(name);
  }
  return defaultDefinition;
}

/**
 * Returns the definition for a resumed run. A checkpoint may come from someone else, so the file that its manifest names is executed
 * only if it is the one that would be executed without a checkpoint: the given one, the default one, or the MNIST recipe, at the same
 * path or with the same hash.
 * @throws ConfigError if the checkpoint was written with another definition and none is given
 */
export async function resumedDefinitionPath(
  given: string | undefined,
  { path: checkpoint, manifest }: FoundCheckpoint,
): Promise<string> {
  if (given !== undefined) return definitionPath(given);
  const { path, sha256 } = manifest.definition;
  for (const candidate of new Set([definitionPath(undefined), defaultDefinition])) {
    const isSame = isSameFile(candidate, path) || (await definitionSha256(candidate)) === sha256;
    if (isSame) return candidate;
  }
  throw new ConfigError(
    `--resume: expected --config FILE, got none. Checkpoint ${checkpoint} was written with the definition ${path}, which is not ` +
      'executed only because a checkpoint names it. If you trust that file, name it with --config.',
    { checkpoint, path },
  );
}

function isSameFile(one: string, other: string): boolean {
  try {
    return realpathSync(one) === realpathSync(other);
  } catch {
    return false;
  }
}
