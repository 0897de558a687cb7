/**
 * Writes a checkpoint: a folder `step-000000200` with `state.safetensors` and `manifest.json`. A checkpoint appears under its
 * name only when it is complete.
 */

import { createHash } from 'node:crypto';
import { mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { manifestName, stateName } from '../artefacts/artefact.js';
import { CheckpointError, systemCode } from '../errors.js';
import { publishFolder } from '../files/publish-folder.js';
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

/** Size of the pieces in which a file is written. */
const pieceBytes = 8 * 2 ** 20;

/**
 * Writes `<directory>/step-…` under a temporary name, syncs it and renames it, so that a crash at any time leaves either a
 * complete checkpoint or none. Then removes all but the newest `keep` checkpoints, and unfinished ones of other processes.
 * @param onWritten called when everything is on disk under the temporary name
 * @param onProgress called after each piece that is on disk
 * @returns the checkpoint's path
 * @throws CheckpointError if it cannot be written; earlier checkpoints are unchanged then
 */
export async function writeCheckpoint(
  { directory, about, layout, state, keep }: WriteOptions,
  onWritten: () => void = () => undefined,
  onProgress: () => void = () => undefined,
): Promise<string> {
  const target = join(directory, checkpointName(about.step));
  const draft = `${target}.partial-${process.pid}`;
  try {
    await writeDraft(draft, { about, layout, state }, onProgress);
    onWritten();
    // An existing checkpoint of the same step of the same run has the same bits.
    await publishFolder(draft, target);
  } catch (cause) {
    await rm(draft, { recursive: true, force: true }).catch(() => undefined);
    throw cannotWrite(about.step, directory, cause);
  }
  await removeOld(directory, keep, draft);
  return target;
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
  { about, layout, state }: Pick<WriteOptions, 'about' | 'layout' | 'state'>,
  onProgress: () => void,
): Promise<void> {
  const metadata = { format: 'lockstep-checkpoint', step: String(about.step) };
  const parts = safetensorsParts(tensorsOf(layout, state), metadata);
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { recursive: true });
  const sha256 = await writeSynced(join(draft, stateName), parts, onProgress);
  const bytes = parts.reduce((total, part) => total + part.length, 0);
  const manifest: Manifest = {
    ...about,
    format,
    file: { name: stateName, bytes, sha256 },
  };
  const text = Buffer.from(`${JSON.stringify(manifest, null, 1)}\n`);
  await writeSynced(join(draft, manifestName), [text], onProgress);
  await syncDirectory(draft);
}

/**
 * Writes a file in pieces that are on disk one after the other. A slow disk therefore shows progress, and the system's memory holds no
 * more than a piece of the file that is not on disk yet. Returns the SHA-256 of the file.
 */
async function writeSynced(file: string, parts: readonly Buffer[], onProgress: () => void): Promise<string> {
  const digest = createHash('sha256');
  const handle = await open(file, 'wx');
  try {
    let unsyncedBytes = 0;
    for (const part of parts) {
      for (let start = 0; start < part.length; start += pieceBytes) {
        const piece = part.subarray(start, start + pieceBytes);
        digest.update(piece);
        // Appends at the current position and, unlike write, writes every byte.
        await handle.writeFile(piece);
        unsyncedBytes += piece.length;
        if (unsyncedBytes < pieceBytes) continue;
        await handle.datasync();
        unsyncedBytes = 0;
        onProgress();
      }
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  return digest.digest('hex');
}

/** Removes the checkpoints that a killed process left unfinished before `beforeMs`. A later one may be in progress. */
export async function removeUnfinished(directory: string, beforeMs: number): Promise<void> {
  for (const name of await readdir(directory).catch((): string[] => [])) {
    if (!partialPattern.test(name)) continue;
    const path = join(directory, name);
    const { mtimeMs } = await stat(path);
    if (mtimeMs < beforeMs) await rm(path, { recursive: true, force: true });
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
