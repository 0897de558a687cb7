/**
 * The end of a transfer that receives the files: asks for one piece after the other, with a bounded number of them in flight, and writes
 * them into a folder. What the folder holds already is not asked for again. A piece that is lost or damaged is asked for again after a
 * silence. A file counts as received when its SHA-256 is right and it is synced.
 */

import { createHash, type Hash } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, mkdir, open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { writeInFull } from '../files/in-full.js';
import { syncDirectory } from '../files/sync-directory.js';
import { CheckpointError, DeadlineError, systemCode } from '../errors.js';
import {
  lengthOfPiece,
  pieceBytes,
  piecesInFlight,
  type Artefact,
  type ArtefactFile,
  type ArtefactFileName,
  type Piece,
  type PieceRequest,
} from './artefact.js';

/** Silence after which the missing pieces are asked for again. */
export const retryMs = 2_000;
/** Number of silences after which a transfer is given up. */
const mostSilences = 30;

export interface ReceiverOptions {
  readonly artefact: Artefact;
  /** The folder for the files, which may hold parts of them. Created if necessary, with mode 0700. */
  readonly folder: string;
  /** Receive only these files; default: all. */
  readonly names?: readonly ArtefactFileName[];
  /** Sends a request to the holder. */
  readonly ask: (request: PieceRequest) => void;
  /** Called when the missing pieces are asked for again. */
  readonly onSilence?: () => void;
  /** Called for each piece that was written. */
  readonly onPiece?: () => void;
}

/** The file that is being received, and the offsets up to which it was asked for, accepted and written. */
interface FileInTransfer {
  readonly index: number;
  readonly file: ArtefactFile;
  asked: number;
  accepted: number;
  written: number;
}

export class ArtefactReceiver {
  readonly #options: ReceiverOptions;
  readonly #timer: NodeJS.Timeout;
  /** Resolves when every file is received. Rejects with a CheckpointError, a DeadlineError, or an error of the file system. */
  readonly received: Promise<void>;
  #current: FileInTransfer | undefined;
  /** Pieces that were accepted and are not written. */
  #queue: Piece[] = [];
  #wake: (() => void) | undefined;
  #silences = 0;
  #failure: Error | undefined;

  constructor(options: ReceiverOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#onSilence(), retryMs);
    this.#timer.unref();
    this.received = this.#receiveAll().finally(() => {
      clearInterval(this.#timer);
      this.#current = undefined;
    });
    // The owner may look at the promise later.
    this.received.catch(() => undefined);
  }

  /** Accepts the next piece of the file. Any other piece, for example a repeated or damaged one, changes nothing. */
  take(piece: Piece): void {
    const current = this.#current;
    if (current?.index !== piece.file || piece.offset !== current.accepted) return;
    if (piece.offset >= current.asked || piece.bytes.length !== lengthOfPiece(current.file, piece.offset))
      return;
    if (crc32(piece.bytes) !== piece.checksum) return;
    current.accepted += piece.bytes.length;
    this.#silences = 0;
    this.#queue.push(piece);
    this.#wake?.();
  }

  /** Asks for the missing pieces now, for example of another holder. */
  askAgain(): void {
    if (!this.#current) return;
    this.#current.asked = this.#current.accepted;
    this.#ask(this.#current);
  }

  /** Gives the transfer up. What was written stays. */
  close(error: Error): void {
    this.#failure ??= error;
    this.#wake?.();
  }

  #onSilence(): void {
    const current = this.#current;
    // A slow disk is no silence of the holder, and the first tick after a piece is none either.
    if (!current || current.accepted > current.written || this.#silences++ === 0) return;
    if (this.#silences > mostSilences) {
      const seconds = (mostSilences * retryMs) / 1000;
      this.close(new DeadlineError(`No piece of ${current.file.name} arrived for ${seconds} s.`));
      return;
    }
    this.#options.onSilence?.();
    this.askAgain();
  }

  async #receiveAll(): Promise<void> {
    const { artefact, folder, names } = this.#options;
    await makePrivateFolder(folder);
    for (const [index, file] of artefact.files.entries()) {
      if (names === undefined || names.includes(file.name)) await this.#receiveFile(index, file);
    }
    await syncDirectory(folder);
  }

  async #receiveFile(index: number, file: ArtefactFile): Promise<void> {
    const path = join(this.#options.folder, file.name);
    // O_NOFOLLOW is undefined on Windows.
    const noFollow = (constants as Partial<typeof constants>).O_NOFOLLOW ?? 0;
    const handle = await open(path, constants.O_RDWR | constants.O_CREAT | noFollow, 0o600);
    try {
      const digest = createHash('sha256');
      const held = await hashHeld(handle, file, digest);
      await this.#receivePieces(handle, { index, file, asked: held, accepted: held, written: held }, digest);
      if (!(await isComplete(handle, file, digest))) {
        // The part that the folder held was another one. The whole file is asked for once more.
        const whole = createHash('sha256');
        await handle.truncate(0);
        await this.#receivePieces(handle, { index, file, asked: 0, accepted: 0, written: 0 }, whole);
        if (!(await isComplete(handle, file, whole))) throw damaged(path, file);
      }
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  async #receivePieces(handle: FileHandle, current: FileInTransfer, digest: Hash): Promise<void> {
    this.#current = current;
    this.#queue = [];
    while (current.written < current.file.bytes) {
      this.#ask(current);
      const { bytes, offset } = await this.#next();
      digest.update(bytes);
      await writeInFull(handle, bytes, offset);
      current.written += bytes.length;
      this.#options.onPiece?.();
    }
    this.#current = undefined;
    if (this.#failure) throw this.#failure;
  }

  #ask(current: FileInTransfer): void {
    const { index, file } = current;
    while (current.asked < file.bytes && current.asked - current.written < piecesInFlight * pieceBytes) {
      this.#options.ask({ file: index, offset: current.asked });
      current.asked += lengthOfPiece(file, current.asked);
    }
  }

  async #next(): Promise<Piece> {
    for (;;) {
      if (this.#failure) throw this.#failure;
      const piece = this.#queue.shift();
      if (piece) return piece;
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = undefined;
    }
  }
}

/** Hashes the whole pieces that the file holds, and drops the rest. @returns the number of bytes that are kept */
async function hashHeld(handle: FileHandle, file: ArtefactFile, digest: Hash): Promise<number> {
  const { size } = await handle.stat();
  const held = size === file.bytes ? size : size > file.bytes ? 0 : size - (size % pieceBytes);
  const buffer = Buffer.allocUnsafe(pieceBytes);
  for (let at = 0; at < held;) {
    const { bytesRead } = await handle.read(buffer, 0, Math.min(pieceBytes, held - at), at);
    if (bytesRead === 0) throw new CheckpointError(`${file.name} was changed while it was read.`);
    digest.update(buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
  await handle.truncate(held);
  return held;
}

async function isComplete(handle: FileHandle, file: ArtefactFile, digest: Hash): Promise<boolean> {
  const { size } = await handle.stat();
  return size === file.bytes && digest.digest('hex') === file.sha256;
}

function damaged(path: string, file: ArtefactFile): CheckpointError {
  return new CheckpointError(
    `${path}: expected SHA-256 ${file.sha256.slice(0, 12)}…, got another one twice. The file was changed while it was sent, or the ` +
      'memory or the disk of a machine is damaged.',
    { path },
  );
}

/** @throws CheckpointError if something other than a folder has this name */
async function makePrivateFolder(folder: string): Promise<void> {
  const made = await mkdir(folder, { mode: 0o700 }).then(
    () => true,
    (error: unknown) => {
      if (systemCode(error) !== 'EEXIST') throw error;
      return false;
    },
  );
  if (made || (await lstat(folder)).isDirectory()) return;
  throw new CheckpointError(`${folder}: expected a folder, got something else. Remove it.`, { folder });
}
