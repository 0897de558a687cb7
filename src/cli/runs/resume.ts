/** `--resume DIR|auto`: which checkpoint a run goes on from. */

import { readdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { checkpointsFolder, findCheckpoint, type FoundCheckpoint } from '../../shared/checkpoint/checkpoint.js';
import { CheckpointError } from '../../shared/errors.js';

/**
 * Null: a new run. `auto` looks in `out`, else in the newest of `runs/`; where there is none yet, it is a new run as well.
 * @throws CheckpointError when a folder that was named has none that verifies
 */
export async function chooseResume(
  from: string | undefined,
  out: string | undefined,
): Promise<FoundCheckpoint | null> {
  if (from === undefined) return null;
  if (from !== 'auto') return findCheckpoint(resolve(from));
  const folder = out === undefined ? await newestRun(checkpointsFolder) : resolve(out);
  const names = folder === undefined ? [] : await namesIn(join(folder, checkpointsFolder));
  if (folder === undefined || names.length === 0) return null;
  try {
    return await findCheckpoint(folder);
  } catch (error) {
    // Nothing but halves that a crash left: nothing was promised yet.
    if (error instanceof CheckpointError && names.every((name) => name.includes('.partial-'))) return null;
    throw error;
  }
}

/** The run's folder that a checkpoint is in. */
export function runOf(path: string): string {
  const folder = dirname(path);
  return basename(folder) === checkpointsFolder ? dirname(folder) : path;
}

/** The last of `runs/`, or the last that has something in this folder; their names are times. */
export async function newestRun(having = ''): Promise<string | undefined> {
  const root = resolve('runs');
  for (const name of (await namesIn(root)).sort().reverse()) {
    if ((await namesIn(join(root, name, having))).length > 0) return join(root, name);
  }
  return undefined;
}

function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((): string[] => []);
}
