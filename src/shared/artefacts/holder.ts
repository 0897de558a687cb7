/** The end of a transfer that has the files: answers each request with a piece. Opens a file only while it reads a piece of it. */

import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { CheckpointError, systemCode } from '../errors.js';
import { readInFull } from '../files/in-full.js';
import { lengthOfPiece, piecesInFlight, type Artefact, type Piece, type PieceRequest } from './artefact.js';

/** Requests beyond this number are ignored. A receiver asks again for what it lacks. */
const mostWaiting = 2 * piecesInFlight;

export interface HolderEvents {
  piece(piece: Piece): void;
  /** A file cannot be read, or is shorter than it was. */
  failed(error: CheckpointError): void;
}

export class ArtefactHolder {
  readonly #folder: string;
  readonly #artefact: Artefact;
  readonly #events: HolderEvents;
  readonly #waiting: PieceRequest[] = [];
  #reading = false;

  constructor(folder: string, artefact: Artefact, events: HolderEvents) {
    this.#folder = folder;
    this.#artefact = artefact;
    this.#events = events;
  }

  /** Reads the piece in the background; pieces are sent in the order of the requests. */
  answer(request: PieceRequest): void {
    if (this.#waiting.length >= mostWaiting) return;
    this.#waiting.push(request);
    if (!this.#reading) void this.#answerAll();
  }

  async #answerAll(): Promise<void> {
    this.#reading = true;
    try {
      for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) {
        const piece = await this.#read(next);
        if (piece) this.#events.piece(piece);
      }
    } catch (error) {
      this.#waiting.length = 0;
      this.#events.failed(error as CheckpointError);
    } finally {
      this.#reading = false;
    }
  }

  /** Undefined if there is no such piece. */
  async #read({ file, offset }: PieceRequest): Promise<Piece | undefined> {
    const described = this.#artefact.files[file];
    const length = described ? lengthOfPiece(described, offset) : 0;
    if (!described || length <= 0) return undefined;
    const path = join(this.#folder, described.name);
    const bytes = Buffer.allocUnsafe(length);
    let got: number;
    try {
      const handle = await open(path, 'r');
      try {
        got = await readInFull(handle, bytes, offset);
      } finally {
        await handle.close();
      }
    } catch (cause) {
      const code = systemCode(cause) ?? String(cause);
      throw new CheckpointError(`${path} can't be read (${code}).`, { path }, cause);
    }
    if (got < length)
      throw new CheckpointError(
        `${path}: expected ${described.bytes} bytes, got ${offset + got}. It was changed while it was sent.`,
        { path },
      );
    return { file, offset, bytes, checksum: crc32(bytes) };
  }
}
