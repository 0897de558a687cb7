/** `--resume DIR|auto`: finds the checkpoint from which a run is resumed. */

import { basename, dirname, join, resolve } from 'node:path';
import type { ResumeCheckpoint } from '../../coordinator/types.js';
import { checkpointsFolder } from '../../shared/checkpoint/manifest.js';
import { findCheckpoint, type FoundCheckpoint } from '../../shared/checkpoint/read-checkpoint.js';
import { compiledFieldsOf } from '../../shared/config/run-config.js';
import { CheckpointError } from '../../shared/errors.js';
import { namesIn } from './run-folder.js';

/**
 * Returns null for a new run. `auto` looks in `out`, or else in the newest run in `runs/`; if there is no checkpoint yet, the run is
 * a new one as well.
 * @throws CheckpointError if none of the checkpoints in the folder is valid
 */
export async function chooseResume(
  from: string | undefined,
  out: string | undefined,
): Promise<FoundCheckpoint | null> {
  if (from === undefined) return null;
  if (from !== 'auto') return findCheckpoint(resolve(from));
  const folder = out === undefined ? await newestRun() : resolve(out);
  const names = folder === undefined ? [] : await namesIn(join(folder, checkpointsFolder));
  if (folder === undefined || names.length === 0) return null;
  try {
    return await findCheckpoint(folder);
  } catch (error) {
    // Incomplete checkpoints of a crashed process were never announced.
    if (error instanceof CheckpointError && names.every((name) => name.includes('.partial-'))) return null;
    throw error;
  }
}

/** Returns the run's folder of a checkpoint. */
export function runOf(path: string): string {
  const folder = dirname(path);
  return basename(folder) === checkpointsFolder ? dirname(folder) : path;
}

/** Returns the newest run in `runs/` with a checkpoint. The names of runs are times. */
async function newestRun(): Promise<string | undefined> {
  const root = resolve('runs');
  for (const name of (await namesIn(root)).sort().reverse()) {
    if ((await namesIn(join(root, name, checkpointsFolder))).length > 0) return join(root, name);
  }
  return undefined;
}

/** Returns the part of a checkpoint's description that the coordinator needs. */
export function checkpointRefOf(found: FoundCheckpoint | null): ResumeCheckpoint | null {
  if (found === null) return null;
  const { step, identity, build = null, dataSha256, origin, compiled, config, preprocessing } = found.manifest;
  const trained = { fields: compiled ?? compiledFieldsOf(config), isCompiled: compiled !== null };
  const data = origin?.data ?? null;
  return { path: found.path, step, identity, build, dataSha256, data, preprocessing, trained };
}
