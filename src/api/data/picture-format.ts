/**
 * Recognizes the format of a picture file by its first bytes, as sharp does, so that a file with another name reaches none of the
 * decoders that are not needed. That of SVG, for example, reads other files and was not made for untrusted input.
 */

import { open } from 'node:fs/promises';

const prefixBytes = 16;

const ascii = (bytes: Buffer, from: number, to: number): string => bytes.toString('latin1', from, to);

const formats: readonly (readonly [name: string, test: (bytes: Buffer) => boolean])[] = [
  ['JPEG', (bytes) => ascii(bytes, 0, 3) === '\xff\xd8\xff'],
  ['PNG', (bytes) => ascii(bytes, 0, 8) === '\x89PNG\r\n\x1a\n'],
  ['WebP', (bytes) => ascii(bytes, 0, 4) === 'RIFF' && ascii(bytes, 8, 12) === 'WEBP'],
  ['GIF', (bytes) => /^GIF8[79]a/.test(ascii(bytes, 0, 6))],
  ['TIFF', (bytes) => ['II*\0', 'MM\0*', 'II+\0', 'MM\0+'].includes(ascii(bytes, 0, 4))],
  ['AVIF', (bytes) => /^ftyp(avif|avis|mif1|msf1)/.test(ascii(bytes, 4, 12))],
];

/** Returns the name of the format; undefined if it is none of those that are read. */
export async function pictureFormatOf(path: string): Promise<string | undefined> {
  const handle = await open(path);
  try {
    const bytes = Buffer.alloc(prefixBytes);
    await handle.read(bytes, 0, prefixBytes, 0);
    return formats.find(([, test]) => test(bytes))?.[0];
  } finally {
    await handle.close();
  }
}
