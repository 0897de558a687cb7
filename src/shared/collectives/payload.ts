/**
 * Vectors to a frame and back. Owns the rule of what is copied: a large vector is sent from where it lies and read where it was
 * received; a small one, or one in a SharedArrayBuffer, which Node's sockets can't send, is copied behind the header.
 */

import { headerBytes, payloadOf, type Frame } from '../protocol/frame.js';
import { bytesPerElement, vectorOver, type Vector, type VectorReduction } from './reduction.js';

/** Below this a copy costs less than one more part of a message. */
const copiedBytes = 4_096;

/**
 * A frame of the vectors, one after the other; its header is still to be written. Where they are not copied they must not
 * change until the receiver has the frame.
 * @param take memory for a frame of so many bytes, if something is copied
 */
export function frameOf(vectors: readonly Vector[], take: (bytes: number) => Buffer): Frame {
  const bytes = vectors.reduce((total, { byteLength }) => total + byteLength, 0);
  if (bytes > copiedBytes && vectors.every(({ buffer }) => !(buffer instanceof SharedArrayBuffer))) {
    return [Buffer.allocUnsafe(headerBytes), ...vectors.map(bytesOf)];
  }
  const frame = take(headerBytes + bytes);
  let offset = headerBytes;
  for (const vector of vectors) {
    frame.set(bytesOf(vector), offset);
    offset += vector.byteLength;
  }
  return [frame];
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Vector): Buffer =>
  Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);

/** The `count` vectors of `elements` elements that a frame carries; undefined when its size is another. */
export function vectorsOf(
  frame: Frame,
  reduction: VectorReduction,
  count: number,
  elements: number,
): Vector[] | undefined {
  const bytes = elements * bytesPerElement(reduction);
  const parts = payloadOf(frame);
  if (parts.reduce((total, { length }) => total + length, 0) !== count * bytes) return undefined;
  if (parts.length === count && parts.every(({ length }) => length === bytes))
    return parts.map((part) => vectorIn(part, reduction, 0, elements));
  const all = parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts);
  return Array.from({ length: count }, (_, i) => vectorIn(all, reduction, i * bytes, elements));
}

/** Copied only where it isn't aligned. */
function vectorIn(bytes: Buffer, reduction: VectorReduction, at: number, elements: number): Vector {
  const size = bytesPerElement(reduction);
  const offset = bytes.byteOffset + at;
  if (offset % size === 0) return vectorOver(reduction, bytes.buffer, offset, elements);
  return vectorOver(reduction, bytes.buffer.slice(offset, offset + elements * size));
}
