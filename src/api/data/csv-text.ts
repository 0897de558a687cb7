/** Decodes the bytes of a text file. A byte sequence that the encoding does not define is refused, never replaced. */

import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { TextEncoding } from '../../shared/data/preprocessing.js';
import { DataError, systemCode } from '../../shared/errors.js';

/**
 * @param encoding by default, UTF-16 is recognized by its byte order mark, and any other file must be UTF-8
 * @throws DataError if the file cannot be read or decoded
 */
export async function readText(file: string, encoding: TextEncoding | undefined): Promise<string> {
  let bytes: Buffer;
  try {
    bytes = await readFile(resolve(file));
  } catch (cause) {
    const found = systemCode(cause) ?? String(cause);
    throw new DataError(
      `${file}: expected a readable CSV file, got ${found}. Check the path.`,
      { file },
      cause,
    );
  }
  const marked = byteOrderMark(bytes);
  if (marked && encoding !== undefined && marked.encoding !== encoding) {
    throw new DataError(
      `${file}: expected ${encoding}, got the byte order mark of ${marked.encoding}. Leave out \`encoding\`.`,
      { file },
    );
  }
  const text = decode(file, bytes.subarray(marked?.length ?? 0), marked?.encoding ?? encoding ?? 'utf-8');
  const replaced = text.indexOf('\uFFFD');
  if (replaced >= 0) {
    throw new DataError(
      `${file}, line ${lineAt(text, replaced)}: expected text, got the replacement character U+FFFD, which an earlier ` +
        'conversion has put in the place of a lost letter. Export the file again.',
      { file },
    );
  }
  return text;
}

function byteOrderMark(bytes: Buffer): { encoding: TextEncoding; length: number } | undefined {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return { encoding: 'utf-8', length: 3 };
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return { encoding: 'utf-16le', length: 2 };
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return { encoding: 'utf-16be', length: 2 };
  return undefined;
}

function decode(file: string, bytes: Buffer, encoding: TextEncoding): string {
  switch (encoding) {
    case 'utf-8':
      return decodeUtf8(file, bytes);
    case 'utf-16le':
    case 'utf-16be':
      return decodeUtf16(file, bytes, encoding);
    case 'windows-1252':
    case 'latin1':
      return decodeSingleBytes(file, bytes, encoding);
  }
}

function decodeUtf8(file: string, bytes: Buffer): string {
  const zero = bytes.indexOf(0);
  if (zero >= 0) {
    throw new DataError(
      `${file}: expected UTF-8 text, got a zero byte at byte ${zero}. Set \`encoding\` to 'utf-16le' or 'utf-16be' if it ` +
        'is UTF-16 without a byte order mark.',
      { file },
    );
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    const { line, byte } = firstInvalid(bytes);
    throw new DataError(
      `${file}, line ${line}: expected UTF-8, got the byte 0x${byte.toString(16)}. Set \`encoding\`, for example to ` +
        "'windows-1252', or save the file as UTF-8.",
      { file, line },
      cause,
    );
  }
}

/** Returns the line of the first one that is not UTF-8, and its first byte above 0x7f. */
function firstInvalid(bytes: Buffer): { line: number; byte: number } {
  let line = 1;
  for (let start = 0; start < bytes.length; line++) {
    const end = bytes.indexOf(0x0a, start);
    const part = bytes.subarray(start, end < 0 ? bytes.length : end);
    try {
      new TextDecoder('utf-8', { fatal: true }).decode(part);
    } catch {
      return { line, byte: part.find((byte) => byte > 0x7f) ?? 0 };
    }
    start = end < 0 ? bytes.length : end + 1;
  }
  return { line, byte: 0 };
}

function decodeUtf16(file: string, bytes: Buffer, encoding: 'utf-16le' | 'utf-16be'): string {
  const whole = bytes.length % 2 === 0;
  const text = whole
    ? (encoding === 'utf-16le' ? bytes : Buffer.from(bytes).swap16()).toString('utf16le')
    : '';
  // A surrogate without its pair is no character.
  if (whole && !/[\uD800-\uDFFF]/u.test(text)) return text;
  throw new DataError(
    `${file}: expected ${encoding}, got ${whole ? 'half of a character' : 'an odd number of bytes'}. Save the file as UTF-8.`,
    { file },
  );
}

/** Characters of the bytes 0x80 to 0x9f in windows-1252; a space for a byte without one. */
const windows1252 = '€ ‚ƒ„…†‡ˆ‰Š‹Œ Ž  ‘’“”•–—˜™š›œ žŸ';

function decodeSingleBytes(file: string, bytes: Buffer, encoding: 'windows-1252' | 'latin1'): string {
  const text = bytes.toString('latin1');
  const control = /[\0\u0080-\u009f]/g;
  return text.replace(control, (character, at: number) => {
    const code = character.charCodeAt(0);
    const mapped = encoding === 'windows-1252' && code >= 0x80 ? (windows1252[code - 0x80] ?? ' ') : ' ';
    if (mapped !== ' ') return mapped;
    const remedy = encoding === 'latin1' ? "Set `encoding` to 'windows-1252'." : 'Save the file as UTF-8.';
    throw new DataError(
      `${file}, line ${lineAt(text, at)}: expected ${encoding}, got the byte 0x${code.toString(16)}, which it does not ` +
        `define. ${remedy}`,
      { file },
    );
  });
}

function lineAt(text: string, at: number): number {
  return text.slice(0, at).split('\n').length;
}
