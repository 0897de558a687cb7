/** TFRecord frames: length, its checksum, payload, its checksum. The checksums are CRC-32C, masked. */

import type { FileHandle } from 'node:fs/promises';
import crc32c from 'crc-32/crc32c.js';
import { readInFull } from '../shared/files/in-full.js';

/** Bytes of the length and its checksum. */
const headBytes = 12;
const checksumBytes = 4;

/** Builds a frame. */
export function frame(payload: Uint8Array): Uint8Array {
  const framed = Buffer.alloc(headBytes + payload.length + checksumBytes);
  framed.writeBigUInt64LE(BigInt(payload.length), 0);
  framed.writeUInt32LE(maskedChecksum(framed.subarray(0, 8)), 8);
  framed.set(payload, headBytes);
  framed.writeUInt32LE(maskedChecksum(payload), headBytes + payload.length);
  return framed;
}

/** Returns the length of the complete frames with which a file of `size` bytes begins. @throws the error of the file system */
export async function intactFrames(file: FileHandle, size: number): Promise<number> {
  let intact = 0;
  while (intact + headBytes + checksumBytes <= size) {
    const head = await read(file, intact, headBytes);
    const length = Number(head.readBigUInt64LE(0));
    const isHead = head.readUInt32LE(8) === maskedChecksum(head.subarray(0, 8));
    if (!isHead || intact + headBytes + length + checksumBytes > size) break;
    const rest = await read(file, intact + headBytes, length + checksumBytes);
    if (rest.readUInt32LE(length) !== maskedChecksum(rest.subarray(0, length))) break;
    intact += headBytes + rest.length;
  }
  return intact;
}

async function read(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  const got = await readInFull(file, bytes, position);
  // A file that has become shorter meanwhile has no complete frame here, and zeros have no valid checksum.
  return got === length ? bytes : Buffer.alloc(length);
}

/** TensorFlow's masking: rotates and adds a constant, so that a checksum over data that contains checksums remains good. */
function maskedChecksum(bytes: Uint8Array): number {
  const checksum = crc32c.buf(bytes) >>> 0;
  return (((checksum >>> 15) | (checksum << 17)) + 0xa282ead8) >>> 0;
}
