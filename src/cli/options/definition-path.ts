/** Finds the training definition that a command uses. */

import { existsSync, realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { copyAt, readDefinitionRecord, verifiedCopy } from '../../api/definition-place.js';
import { definitionSha256 } from '../../api/load-definition.js';
import type { FoundCheckpoint } from '../../shared/checkpoint/read-checkpoint.js';
import { ConfigError } from '../../shared/errors.js';
import { runOf } from '../runs/resume-checkpoint.js';

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
 * path or with the same hash. If that file is gone, the copy in the folder of the run is executed, as `eval` of this folder would do.
 * @throws ConfigError if the checkpoint was written with another definition and none is given, or if the copy was changed
 */
export async function resumedDefinition(
  given: string | undefined,
  { path: checkpoint, manifest }: FoundCheckpoint,
): Promise<ResumedDefinition> {
  if (given !== undefined) return { path: definitionPath(given), notes: [] };
  const { path, sha256 } = manifest.definition;
  for (const candidate of new Set([definitionPath(undefined), defaultDefinition])) {
    const isSame = isSameFile(candidate, path) || (await definitionSha256(candidate)) === sha256;
    if (isSame) return { path: candidate, notes: [] };
  }
  const copy = await replacementOf(path, sha256, runOf(checkpoint));
  if (copy) return copy;
  throw new ConfigError(
    `--resume: expected --config FILE, got none. Checkpoint ${checkpoint} was written with the definition ${path}, which is not ` +
      'executed only because a checkpoint names it. If you trust that file, name it with --config.',
    { checkpoint, path },
  );
}

export interface ResumedDefinition {
  readonly path: string;
  /** Lines for the log. */
  readonly notes: readonly string[];
}

/** Returns the run's copy of a definition that is gone; undefined if the definition is there, or if there is no such copy. */
async function replacementOf(
  original: string,
  sha256: string,
  run: string,
): Promise<ResumedDefinition | undefined> {
  // The run may have continued with its copy before.
  const isGone = !existsSync(original) || (await copyAt(original)) !== undefined;
  const record = isGone ? await readDefinitionRecord(run) : undefined;
  if (record?.sha256 !== sha256) return undefined;
  const { path } = await verifiedCopy({ run, record });
  const notes = [
    `The definition ${record.path} is gone. The run continues with its own copy, ${path}. Name another one with --config.`,
  ];
  if (record.workingFolder !== process.cwd()) {
    notes.push(
      `Relative paths in the definition refer to the present folder ${process.cwd()}; the run was started in ${record.workingFolder}.`,
    );
  }
  return { path, notes };
}

function isSameFile(one: string, other: string): boolean {
  try {
    return realpathSync(one) === realpathSync(other);
  } catch {
    return false;
  }
}
