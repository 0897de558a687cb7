/**
 * Decides where a worker writes the run's checkpoints and model, and from where it restores. A worker that shares the run's folder with the
 * coordinator writes there. Any other worker writes into a private folder of its own, the spool, and sends the files to the coordinator.
 */

import { rm, stat } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  contentOf,
  manifestName,
  namesOf,
  stateName,
  topologyName,
  type Artefact,
  type ArtefactFile,
} from '../../shared/artefacts/artefact.js';
import { provesSharing, type FolderProof } from '../../shared/artefacts/folder-proof.js';
import { checkpointName, readManifest } from '../../shared/checkpoint/manifest.js';
import { CheckpointError, invariant, systemCode } from '../../shared/errors.js';
import { sha256File } from '../../shared/files/sha256-file.js';
import { makeTemporaryFolder } from '../../shared/files/temporary-folder.js';
import type { ArtefactAnswer, ArtefactRequest } from '../communicator/artefact-exchange.js';

/** A checkpoint from which a worker restores. */
export interface FoundCheckpoint {
  /** A folder with the verified manifest; the state is in it once `complete` has resolved. */
  readonly path: string;
  /** Receives the state, if it is not there yet. @throws CheckpointError, or the error that ended the run */
  complete(): Promise<void>;
  /** Removes what was received. */
  discard(): Promise<void>;
}

export interface RunStorage {
  /** True if this worker writes into the run's folder itself. */
  readonly sharesFolder: boolean;
  /** The folder in which this worker writes files that belong into `out`. @throws ConfigError if TMPDIR cannot be used */
  folderFor(out: string): string;
  /** The number of checkpoints to keep in that folder. */
  keepOf(keep: number): number;
  /** Brings a checkpoint's folder into the run's folder, and returns its path there. @throws CheckpointError */
  deliverCheckpoint(path: string): Promise<string>;
  /** Brings a saved model into the run's folder. @param path that of model.json @returns its path in the run's folder @throws CheckpointError */
  deliverModel(path: string, step: number): Promise<string>;
  /** Returns true if the file in the run's folder may have been removed. */
  isGone(path: string): boolean;
  /** Finds the coordinator's checkpoint of a step. @param path its path on the coordinator's host */
  find(step: number, path: string): Promise<FoundCheckpoint>;
  /** Removes this worker's private folder. */
  close(): Promise<void>;
}

/** All files are written into the run's folder, and read from it. */
export const inPlace: RunStorage = {
  sharesFolder: true,
  folderFor: (out) => out,
  keepOf: (keep) => keep,
  deliverCheckpoint: (path) => Promise.resolve(path),
  deliverModel: (path) => Promise.resolve(path),
  isGone: (path) => !existsSync(path),
  find: (_step, path) =>
    Promise.resolve({ path, complete: () => Promise.resolve(), discard: () => Promise.resolve() }),
  close: () => Promise.resolve(),
};

type Transfer = (request: ArtefactRequest) => Promise<ArtefactAnswer>;

/** @param folder the coordinator's proof of the run's folder; null or undefined: the run has no folder */
export async function openRunStorage(
  folder: FolderProof | null | undefined,
  transfer: Transfer,
): Promise<RunStorage> {
  const spool = new Spool();
  const find = (step: number, path: string): Promise<FoundCheckpoint> => fetch(transfer, spool, step, path);
  if (!folder || (await provesSharing(folder))) return { ...inPlace, find, close: () => spool.remove() };
  return {
    sharesFolder: false,
    folderFor: () => spool.folder,
    keepOf: () => 1,
    deliverCheckpoint: async (path) => {
      const { step, file } = await readManifest(path);
      const state: ArtefactFile = { name: stateName, bytes: file.bytes, sha256: file.sha256 };
      const files = [await describe(path, manifestName), state];
      const answer = await transfer({
        kind: 'upload',
        folder: path,
        artefact: { kind: 'checkpoint', step, files },
      });
      await rm(path, { recursive: true, force: true });
      return pathOf(answer);
    },
    deliverModel: async (path, step) => {
      const folder = join(path, '..');
      const names = namesOf('model').filter((name) => existsSync(join(folder, name)));
      const files = await Promise.all(names.map((name) => describe(folder, name)));
      const answer = await transfer({ kind: 'upload', folder, artefact: { kind: 'model', step, files } });
      return join(pathOf(answer), topologyName);
    },
    isGone: () => false,
    find,
    close: () => spool.remove(),
  };
}

function pathOf({ path }: ArtefactAnswer): string {
  invariant(path !== undefined, 'an upload ended without a path');
  return path;
}

async function describe(folder: string, name: ArtefactFile['name']): Promise<ArtefactFile> {
  const path = join(folder, name);
  try {
    const { size } = await stat(path);
    return { name, bytes: size, sha256: await sha256File(path) };
  } catch (cause) {
    throw new CheckpointError(
      `${path} can't be read (${systemCode(cause) ?? String(cause)}).`,
      { path },
      cause,
    );
  }
}

/**
 * Uses the files at `path` if they are those of the coordinator's checkpoint, which their hashes show: a file at the same path can be
 * another one. Otherwise receives them. The state is received after the caller has checked the manifest.
 */
async function fetch(transfer: Transfer, spool: Spool, step: number, path: string): Promise<FoundCheckpoint> {
  const { artefact } = await transfer({ kind: 'describe', step });
  invariant(artefact, 'a checkpoint was described without its files');
  if (await isAt(path, artefact)) return inPlace.find(step, path);
  const folder = join(spool.folder, `${checkpointName(step)}.from-coordinator-${contentOf(artefact)}`);
  await transfer({ kind: 'download', artefact, folder, names: [manifestName] });
  return {
    path: folder,
    complete: async () => {
      await transfer({ kind: 'download', artefact, folder, names: [stateName] });
    },
    discard: () => rm(folder, { recursive: true, force: true }),
  };
}

async function isAt(path: string, { files }: Artefact): Promise<boolean> {
  try {
    for (const { name, bytes, sha256 } of files) {
      if ((await stat(join(path, name))).size !== bytes) return false;
      // The SHA-256 of the state is in the manifest, and is verified when the state is read.
      if (name === manifestName && (await sha256File(join(path, name))) !== sha256) return false;
    }
    return true;
  } catch {
    return false;
  }
}

/** A private folder that is made when it is first needed. */
class Spool {
  #folder: string | undefined;

  get folder(): string {
    return (this.#folder ??= makeTemporaryFolder('lockstep-spool-'));
  }

  async remove(): Promise<void> {
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true, force: true });
  }
}
