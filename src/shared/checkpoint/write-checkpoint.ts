/**
 * Writes a checkpoint: a folder `step-000000200` with `state.safetensors` and `manifest.json`. A checkpoint appears under its
 * name only when it is complete.
 */

import { createHash } from 'node:crypto';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { manifestName, stateName } from '../artefacts/artefact.js';
import { CheckpointError, systemCode } from '../errors.js';
import { syncDirectory } from '../files/sync-directory.js';
import {
  checkpointName,
  format,
  namePattern,
  partialPattern,
  type CheckpointDescription,
  type Manifest,
} from './manifest.js';
import { safetensorsParts } from './safetensors.js';
import { tensorsOf, type CheckpointState, type StateLayout } from './state-tensors.js';

export interface WriteOptions {
  /** Folder of the run's checkpoints; created if necessary. */
  readonly directory: string;
  readonly about: CheckpointDescription;
  readonly layout: StateLayout;
  /** Read until the returned promise is settled. */
  readonly state: CheckpointState;
  /** Number of checkpoints to keep in `directory`. */
  readonly keep: number;
}

/**
 * Writes `<directory>/step-…` under a temporary name, syncs it and renames it, so that a crash at any time leaves either a
 * complete checkpoint or none. Then removes all but the newest `keep` checkpoints, and unfinished ones of other processes.
 * @param onWritten called when everything is on disk under the temporary name
 * @returns the checkpoint's path
 * @throws CheckpointError if it cannot be written; earlier checkpoints are unchanged then
 */
export async function writeCheckpoint(
  { directory, about, layout, state, keep }: WriteOptions,
  onWritten: () => void = () => undefined,
): Promise<string> {
  const target = join(directory, checkpointName(about.step));
  const draft = `${target}.partial-${process.pid}`;
  try {
    await writeDraft(draft, about, layout, state);
    onWritten();
    await publishCheckpoint(draft, target);
  } catch (cause) {
    await rm(draft, { recursive: true, force: true }).catch(() => undefined);
    throw cannotWrite(about.step, directory, cause);
  }
  await removeOld(directory, keep, draft);
  return target;
}

/** Gives a complete and synced checkpoint its name. @throws the error of the file system */
export async function publishCheckpoint(draft: string, target: string): Promise<void> {
  // An existing checkpoint of the same step of the same run has the same bits.
  await rm(target, { recursive: true, force: true });
  await rename(draft, target);
  await syncDirectory(dirname(target));
}

export function cannotWrite(step: number, directory: string, cause: unknown): CheckpointError {
  return new CheckpointError(
    `Checkpoint of step ${step} can't be written to ${directory} (${systemCode(cause) ?? String(cause)}). ` +
      'Training continues without it; free some space there, or choose another --out.',
    { directory, step },
    cause,
  );
}

async function writeDraft(
  draft: string,
  about: CheckpointDescription,
  layout: StateLayout,
  state: CheckpointState,
): Promise<void> {
  const metadata = { format: 'lockstep-checkpoint', step: String(about.step) };
  const parts = safetensorsParts(tensorsOf(layout, state), metadata);
  const digest = createHash('sha256');
  for (const part of parts) digest.update(part);
  const bytes = parts.reduce((total, part) => total + part.length, 0);
  const manifest: Manifest = {
    ...about,
    format,
    file: { name: stateName, bytes, sha256: digest.digest('hex') },
  };
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { recursive: true });
  await writeSynced(join(draft, stateName), parts);
  await writeSynced(join(draft, manifestName), [Buffer.from(`${JSON.stringify(manifest, null, 1)}\n`)]);
  await syncDirectory(draft);
}

async function writeSynced(file: string, parts: readonly Buffer[]): Promise<void> {
  const handle = await open(file, 'wx');
  try {
    // Appends at the current position and, unlike writev, writes every byte.
    for (const part of parts) await handle.writeFile(part);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Removes all but the newest `keep` checkpoints, and unfinished ones of other processes. Errors are ignored. */
export async function removeOld(directory: string, keep: number, draft = ''): Promise<void> {
  const entries = await readdir(directory).catch(() => []);
  const old = entries
    .filter((name) => namePattern.test(name))
    .sort()
    .slice(0, -keep);
  const unfinished = entries.filter((name) => partialPattern.test(name) && join(directory, name) !== draft);
  for (const name of [...old, ...unfinished])
    await rm(join(directory, name), { recursive: true, force: true }).catch(() => undefined);
}
