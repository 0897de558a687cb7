/** Finds the newest checkpoint that is intact, and reads the training state of a checkpoint. */

import { createHash } from 'node:crypto';
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { stateName } from '../artefacts/artefact.js';
import { CheckpointError, systemCode } from '../errors.js';
import { checkpointsFolder, format, namePattern, readManifest, type Manifest } from './manifest.js';
import { decodeSafetensors } from './safetensors.js';
import { stateOf, type CheckpointState, type StateLayout } from './state-tensors.js';

/** Size of the pieces in which a state file is read. */
const pieceBytes = 32 * 2 ** 20;

/**
 * Reads the state file in pieces and compares it with the manifest.
 * @param onPiece called with each piece, whose memory is used again for the next one, and its position in the file
 * @throws CheckpointError if the file's length or SHA-256 differs from the manifest's
 */
async function readVerified(
  path: string,
  { file }: Manifest,
  onPiece: (piece: Buffer, position: number) => void = () => undefined,
): Promise<void> {
  const from = join(path, file.name);
  const wrong = (expected: string, got: string): CheckpointError =>
    new CheckpointError(`${from}: expected ${expected}, got ${got}.`, { file: from, expected, got });
  try {
    const { size } = await stat(from);
    if (size !== file.bytes) throw wrong(`${file.bytes} bytes`, `${size}`);
    const hash = createHash('sha256');
    const handle = await open(from, 'r');
    try {
      const memory = Buffer.allocUnsafe(Math.min(pieceBytes, size));
      for (let position = 0; position < size;) {
        const { bytesRead } = await handle.read(memory, 0, memory.length, position);
        if (bytesRead === 0) throw wrong(`${file.bytes} bytes`, `${position}`);
        const piece = memory.subarray(0, bytesRead);
        hash.update(piece);
        onPiece(piece, position);
        position += bytesRead;
      }
    } finally {
      await handle.close();
    }
    const digest = hash.digest('hex');
    if (digest !== file.sha256)
      throw wrong(`SHA-256 ${file.sha256.slice(0, 12)}…`, `${digest.slice(0, 12)}…`);
  } catch (cause) {
    if (cause instanceof CheckpointError) throw cause;
    throw wrong('a readable file', systemCode(cause) ?? String(cause));
  }
}

/**
 * Reads the state of a checkpoint into new vectors.
 * @param path the checkpoint's folder
 * @param layout the tensors that the model's training state consists of
 * @param numbers names of the scheduler state's numbers
 * @param onProgress called after each piece that is read
 * @throws CheckpointError if the checkpoint is damaged, belongs to another model, or is too old to tell the model's weights apart
 */
export async function readCheckpoint(
  path: string,
  layout: StateLayout,
  numbers: readonly string[],
  onProgress: () => void = () => undefined,
): Promise<CheckpointState & { readonly step: number }> {
  const manifest = await readManifest(path);
  const bytes = Buffer.allocUnsafeSlow(manifest.file.bytes);
  await readVerified(path, manifest, (piece, position) => {
    piece.copy(bytes, position);
    onProgress();
  });
  const { tensors } = decodeSafetensors(bytes, join(path, stateName), true);
  const missing = layout.find(({ name }) => !tensors.has(name));
  if (manifest.format < format && missing) {
    throw new CheckpointError(
      `${path}: expected a checkpoint of format ${format}, got format ${manifest.format}, in which weights of one name are one ` +
        `tensor: it has no "${missing.name}". Train from the start, or resume with the version of Lockstep that wrote it.`,
      { path },
    );
  }
  return { step: manifest.step, ...stateOf(layout, numbers, tensors, path) };
}

export interface FoundCheckpoint {
  readonly path: string;
  readonly manifest: Manifest;
  /** One message for each newer checkpoint that is damaged. */
  readonly skipped: readonly string[];
}

/** The checkpoints, newest first, of a run's folder or a folder of checkpoints, else the folder itself. */
async function candidates(directory: string): Promise<string[]> {
  for (const folder of [join(directory, checkpointsFolder), directory]) {
    const names = await readdir(folder).catch((): string[] => []);
    const steps = names.filter((name) => namePattern.test(name));
    const number = (name: string): number => Number(namePattern.exec(name)?.[1]);
    if (steps.length > 0)
      return steps.sort((a, b) => number(b) - number(a)).map((name) => join(folder, name));
  }
  return [directory];
}

/**
 * Finds the newest intact checkpoint.
 * @param directory a run's folder, its folder of checkpoints, or one checkpoint
 * @throws CheckpointError if there is none
 */
export async function findCheckpoint(directory: string): Promise<FoundCheckpoint> {
  const skipped: string[] = [];
  for (const path of await candidates(directory)) {
    try {
      const manifest = await readManifest(path);
      await readVerified(path, manifest);
      return { path, manifest, skipped };
    } catch (error) {
      if (!(error instanceof CheckpointError)) throw error;
      skipped.push(error.message);
    }
  }
  throw new CheckpointError(
    `No checkpoint in ${directory} can be used: ${skipped.join(' ')} Train with --checkpoint-every to have one.`,
    { directory },
  );
}
