/**
 * Parses the IDX format of MNIST from bytes in memory and refuses files that violate it. Does no I/O and copies no pixels: a result is
 * a view of the parsed bytes.
 *
 * A file is a big-endian header and a body (http://yann.lecun.com/exdb/mnist/, archived):
 *
 *     images  0x00000803  count  height  width   then count * height * width bytes, row by row
 *     labels  0x00000801  count                  then count bytes
 *
 * In the magic number, 08 stands for unsigned bytes, and the last byte is the number of dimensions.
 */
import { DataError, type ErrorFields } from '../errors.js';

const IMAGES_MAGIC = 0x0803;
const LABELS_MAGIC = 0x0801;
const GZIP_MAGIC = 0x1f8b;
const WORD_BYTES = 4;

/** Maximum size of an uncompressed IDX file, about twenty times that of MNIST's training images. */
export const MAX_IDX_BYTES = 2 ** 30;
/** Maximum height and width of an image, in pixels. */
export const MAX_IMAGE_SIDE = 4096;

export const REPLACE_FILE = 'Replace the file by a fresh copy of the data set.';

export interface IdxImages {
  readonly count: number;
  readonly height: number;
  readonly width: number;
  /** `count * height * width` bytes, image after image and row after row; a view of the parsed bytes. */
  readonly pixels: Uint8Array;
}

/** A defect at byte `offset` of an uncompressed data file. */
export interface Damage {
  readonly what: string;
  readonly offset: number;
  readonly expected: string | number;
  readonly found: string | number;
  readonly remedy?: string;
}

/** A DataError about a defect of a file. Its fields repeat the parts of the message. */
export function damagedFile(file: string, damage: Damage, cause?: unknown): DataError {
  const { what, offset, expected, found, remedy = REPLACE_FILE } = damage;
  const fields: ErrorFields = { file, offset, expected, found, remedy };
  return new DataError(
    `${file}: ${what} at byte ${offset}: expected ${expected}, got ${found}. ${remedy}`,
    fields,
    cause,
  );
}

/** Parses images of one byte per pixel. @param file name for errors @throws DataError unless `bytes` is one complete, valid file */
export function parseIdxImages(bytes: Uint8Array, file: string): IdxImages {
  const [count, height, width] = parseHeader(bytes, file, IMAGES_MAGIC, ['images', 'rows', 'columns']);
  const pixels = parseBody(bytes, file, 4 * WORD_BYTES, count * height * width);
  return { count, height, width, pixels };
}

/** Parses labels of one byte each; the result is a view of `bytes`. @throws DataError like parseIdxImages */
export function parseIdxLabels(bytes: Uint8Array, file: string): Uint8Array {
  const [count] = parseHeader(bytes, file, LABELS_MAGIC, ['labels']);
  return parseBody(bytes, file, 2 * WORD_BYTES, count);
}

/** Parses the dimensions `names` and checks each against its limit. */
function parseHeader<const Names extends readonly string[]>(
  bytes: Uint8Array,
  file: string,
  magic: number,
  names: Names,
): { [Index in keyof Names]: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // The magic number first: for a file of another kind this error is more useful than that of a short header.
  if (bytes.length >= WORD_BYTES) checkMagic(view.getUint32(0), file, magic);
  const headerBytes = WORD_BYTES * (1 + names.length);
  if (bytes.length < headerBytes) {
    const expected = `a header of ${headerBytes} bytes`;
    throw damagedFile(file, {
      what: 'header ends',
      offset: bytes.length,
      expected,
      found: `${bytes.length} bytes`,
    });
  }
  const dimensions = names.map((name, index) => {
    const offset = WORD_BYTES * (1 + index);
    const found = view.getUint32(offset);
    const limit = index === 0 ? MAX_IDX_BYTES : MAX_IMAGE_SIDE;
    if (found < 1 || found > limit) {
      throw damagedFile(file, { what: `number of ${name}`, offset, expected: `1 to ${limit}`, found });
    }
    return found;
  });
  return dimensions as { [Index in keyof Names]: number };
}

function checkMagic(found: number, file: string, magic: number): void {
  if (found === magic) return;
  const damage = { what: 'magic number', offset: 0, expected: hex(magic), found: hex(found) };
  if (found >>> 16 === GZIP_MAGIC) {
    throw damagedFile(file, { ...damage, remedy: 'This is a gzip file: give its name the ending .gz.' });
  }
  if (found === LABELS_MAGIC || found === IMAGES_MAGIC) {
    const kind = found === LABELS_MAGIC ? 'labels' : 'images';
    throw damagedFile(file, { ...damage, remedy: `This file holds ${kind}: were two files swapped?` });
  }
  throw damagedFile(file, { ...damage, remedy: 'Put an IDX file of unsigned bytes here.' });
}

function parseBody(bytes: Uint8Array, file: string, headerBytes: number, bodyBytes: number): Uint8Array {
  const expected = headerBytes + bodyBytes;
  if (expected > MAX_IDX_BYTES) {
    const what = 'size announced by the header';
    const limit = `at most ${MAX_IDX_BYTES} bytes`;
    throw damagedFile(file, { what, offset: WORD_BYTES, expected: limit, found: `${expected} bytes` });
  }
  if (bytes.length !== expected) {
    const what = bytes.length < expected ? 'body ends' : 'bytes left over';
    const offset = Math.min(bytes.length, expected);
    throw damagedFile(file, {
      what,
      offset,
      expected: `a file of ${expected} bytes`,
      found: `${bytes.length} bytes`,
    });
  }
  return new Uint8Array(bytes.buffer, bytes.byteOffset + headerBytes, bodyBytes);
}

function hex(word: number): string {
  return `0x${word.toString(16).padStart(8, '0')}`;
}
