/**
 * Encodes vectors into frames and decodes them. An element of bfloat16 takes two bytes on the wire. Elements of other types have the same
 * format on the wire as in memory. A large vector is sent from its own memory, and the receiver reads it in the received message. A vector
 * is copied behind the header if it is small, if it is packed, or if it is in a SharedArrayBuffer, which Node's sockets cannot send.
 * Vectors of float32 that are mostly zero are sent without their zeros (zero-blocks.ts).
 */

import { headerBytes, payloadOf, type Encoding, type Frame } from '../protocol/frame.js';
import { findZeroBlocks, packZeroBlocks, unpackZeroBlocks } from './zero-blocks.js';
import {
  bytesPerElement,
  vectorOver,
  type Arithmetic,
  type Vector,
  type VectorReduction,
} from './reduction.js';

/**
 * Largest payload, in bytes, that is copied into the part of the message that contains the header. Up to this size, the copy costs less
 * than a second message part.
 */
const copiedBytes = 4_096;

export function bytesOnWire(reduction: VectorReduction): number {
  return reduction === 'sum-bfloat16' ? 2 : bytesPerElement(reduction);
}

/**
 * Makes a frame of the vectors in order. The caller writes the header, with the encoding. Vectors that are not copied must not change until the receiver has
 * the frame.
 * @param copied true: all vectors are copied, so they may change at once
 * @param allocate returns memory for a frame of this many bytes. Called only if vectors are copied
 */
export function frameOf(
  vectors: readonly Vector[],
  reduction: VectorReduction,
  { packBfloat16 }: Arithmetic,
  copied: boolean,
  allocate: (bytes: number) => Buffer,
): { readonly frame: Frame; readonly encoding: Encoding } {
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
    return { frame: [frame], encoding: 'plain' };
  }
  if (reduction === 'sum-float32') {
    const values = vectors as readonly Float32Array[];
    const blocks = findZeroBlocks(values);
    if (blocks) {
      const frame = allocate(headerBytes + blocks.bytes);
      packZeroBlocks(values, blocks, frame.subarray(headerBytes));
      return { frame: [frame], encoding: 'zero-blocks' };
    }
  }
  const sendable = vectors.every(({ buffer }) => !(buffer instanceof SharedArrayBuffer));
  if (!copied && bytes > copiedBytes && sendable) {
    const parts = vectors.filter(({ length }) => length > 0).map(bytesOf);
    return { frame: [Buffer.allocUnsafe(headerBytes), ...parts], encoding: 'plain' };
  }
  const frame = allocate(headerBytes + bytes);
  let offset = headerBytes;
  for (const vector of vectors) {
    frame.set(bytesOf(vector), offset);
    offset += vector.byteLength;
  }
  return { frame: [frame], encoding: 'plain' };
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Vector): Buffer =>
  Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);

/**
 * Decodes a frame's payload into vectors of these lengths. Returns undefined if the payload has another size, or an encoding that the
 * reduction does not use.
 * @param allocate returns memory of this many bytes for unpacked vectors
 */
export function vectorsOf(
  frame: Frame,
  encoding: Encoding,
  reduction: VectorReduction,
  { unpackBfloat16 }: Arithmetic,
  lengths: readonly number[],
  allocate: (bytes: number) => Buffer,
): Vector[] | undefined {
  const size = bytesOnWire(reduction);
  const elements = lengths.reduce((total, length) => total + length, 0);
  const parts = payloadOf(frame);
  if (encoding === 'zero-blocks') {
    if (reduction !== 'sum-float32') return undefined;
    const unpacked = allocate(4 * elements);
    let offset = unpacked.byteOffset;
    const vectors = lengths.map((length) => {
      const vector = new Float32Array(unpacked.buffer, offset, length);
      offset += vector.byteLength;
      return vector;
    });
    return unpackZeroBlocks(Buffer.concat(parts), vectors) ? vectors : undefined;
  }
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

/**
 * Cuts the payload into pieces of the sizes `bytes`. Copies the payload only if it arrived in several parts, and if the sizes of these
 * parts are not those in `bytes`.
 */
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

/** Returns the piece as a vector. Copies the piece only if it is not aligned. */
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
