/**
 * Encodes vectors into frames and decodes them. Owns the format of an element on the wire (two bytes for bfloat16, else as in memory)
 * and the rule for copies: a large vector is sent from its own memory and read in the received message; a vector that is small, packed
 * or in a SharedArrayBuffer, which Node's sockets cannot send, is copied behind the header.
 */

import { headerBytes, payloadOf, type Frame } from '../protocol/frame.js';
import {
  bytesPerElement,
  vectorOver,
  type Arithmetic,
  type Vector,
  type VectorReduction,
} from './reduction.js';

/** Below this size in bytes a copy costs less than another part of a message. */
const copiedBytes = 4_096;

export function bytesOnWire(reduction: VectorReduction): number {
  return reduction === 'sum-bfloat16' ? 2 : bytesPerElement(reduction);
}

/**
 * A frame of the vectors in order; its header is not written yet. Vectors that are not copied must not change until the receiver has
 * the frame.
 * @param copied whether all vectors are copied, so that they may change at once
 * @param allocate returns memory for a frame of this many bytes, if anything is copied
 */
export function frameOf(
  vectors: readonly Vector[],
  reduction: VectorReduction,
  { packBfloat16 }: Arithmetic,
  copied: boolean,
  allocate: (bytes: number) => Buffer,
): Frame {
  const elements = vectors.reduce((total, { length }) => total + length, 0);
  const bytes = elements * bytesOnWire(reduction);
  if (reduction === 'sum-bfloat16') {
    const frame = allocate(headerBytes + bytes);
    let offset = headerBytes;
    for (const vector of vectors) {
      packBfloat16(
        new Uint16Array(frame.buffer, frame.byteOffset + offset, vector.length),
        vector as Float32Array,
      );
      offset += 2 * vector.length;
    }
    return [frame];
  }
  const sendable = vectors.every(({ buffer }) => !(buffer instanceof SharedArrayBuffer));
  if (!copied && bytes > copiedBytes && sendable) {
    return [Buffer.allocUnsafe(headerBytes), ...vectors.filter(({ length }) => length > 0).map(bytesOf)];
  }
  const frame = allocate(headerBytes + bytes);
  let offset = headerBytes;
  for (const vector of vectors) {
    frame.set(bytesOf(vector), offset);
    offset += vector.byteLength;
  }
  return [frame];
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Vector): Buffer =>
  Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);

/**
 * The vectors, of these lengths, of a frame's payload; undefined if the payload has another size.
 * @param allocate returns memory for this many bytes, for unpacked vectors
 */
export function vectorsOf(
  frame: Frame,
  reduction: VectorReduction,
  { unpackBfloat16 }: Arithmetic,
  lengths: readonly number[],
  allocate: (bytes: number) => Buffer,
): Vector[] | undefined {
  const size = bytesOnWire(reduction);
  const elements = lengths.reduce((total, length) => total + length, 0);
  const parts = payloadOf(frame);
  if (parts.reduce((total, { length }) => total + length, 0) !== elements * size) return undefined;
  const pieces = piecesOf(
    parts,
    lengths.map((length) => length * size),
  );
  if (reduction !== 'sum-bfloat16') return pieces.map((piece) => alignedVector(piece, reduction));
  const unpacked = allocate(4 * elements);
  let offset = unpacked.byteOffset;
  return pieces.map((piece) => {
    const vector = new Float32Array(unpacked.buffer, offset, piece.length / 2);
    unpackBfloat16(vector, alignedWords(piece));
    offset += vector.byteLength;
    return vector;
  });
}

/** The payload cut into pieces of these sizes; copied only if it has several parts that are not these pieces. */
function piecesOf(parts: readonly Buffer[], bytes: readonly number[]): Buffer[] {
  const full = bytes.filter((length) => length > 0);
  if (parts.length === full.length && parts.every(({ length }, i) => length === full[i])) {
    const queue = [...parts];
    return bytes.map((length) => (length > 0 ? (queue.shift() ?? Buffer.alloc(0)) : Buffer.alloc(0)));
  }
  const all = parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts);
  let offset = 0;
  return bytes.map((length) => {
    offset += length;
    return all.subarray(offset - length, offset);
  });
}

/** Copied only if it is not aligned. */
function alignedVector(piece: Buffer, reduction: VectorReduction): Vector {
  const size = bytesPerElement(reduction);
  const { buffer, byteOffset, length } = aligned(piece, size);
  return vectorOver(reduction, buffer, byteOffset, length / size);
}

function alignedWords(piece: Buffer): Uint16Array {
  const { buffer, byteOffset, length } = aligned(piece, 2);
  return new Uint16Array(buffer, byteOffset, length / 2);
}

const aligned = (piece: Buffer, size: number): Uint8Array =>
  piece.byteOffset % size === 0 ? piece : new Uint8Array(piece);
