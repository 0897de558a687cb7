/**
 * Decodes a picture file to the bytes that a network is trained on. Training and `lockstep predict` call this one function, so that a
 * picture gives the same bytes in both. sharp reads the files.
 */

import { stat } from 'node:fs/promises';
import { DataError, systemCode } from '../../shared/errors.js';
import { loadSharp } from './load-sharp.js';
import { pictureFormatOf } from './picture-format.js';
import type { PicturePreprocessing } from '../../shared/data/preprocessing.js';

export const pictureNames = /\.(jpe?g|jpe|jfif|png|webp|gif|tiff?|avif)$/i;
export const pictureFormats = 'JPEG, PNG, WebP, GIF, TIFF, AVIF';

/** Maximum number of pixels of a picture. A small file can describe many, and each takes up to 8 bytes while it is decoded. */
export const maxPixels = 2 ** 27;

type PictureFormat = Pick<PicturePreprocessing, 'height' | 'width' | 'channels' | 'background'>;

/**
 * Returns `height * width * channels` bytes, channels last. The picture is turned upright as its EXIF orientation states, transparent
 * pixels are composed on the background, 16 bits are scaled to 8, and CMYK is converted by its profile. Of an animated file, the
 * first frame is used.
 * @throws DataError if the file cannot be read completely, or has samples without a defined range (float TIFF)
 */
export async function decodePicture(path: string, format: PictureFormat): Promise<Uint8Array> {
  const { height, width, channels, background } = format;
  // Imported with the data, because the coordinator loads the definition but no data.
  const sharp = await loadSharp(`Picture ${path}`);
  await checkFile(path);
  try {
    if ((await pictureFormatOf(path)) === undefined) {
      throw new DataError(
        `${path}: expected a picture, got a file of another format than ${pictureFormats}. Convert or remove it.`,
        { path },
      );
    }
    const { depth, channels: stored } = await sharp(path, { limitInputPixels: maxPixels }).metadata();
    if (depth !== 'uchar' && depth !== 'ushort') {
      throw new DataError(
        `${path}: expected samples of 8 or 16 bits, got samples of type ${depth}, whose range the file does not define. ` +
          'Convert it to a PNG or TIFF of 8 or 16 bits.',
        { path },
      );
    }
    const opened = sharp(path, { limitInputPixels: maxPixels }).autoOrient();
    // A picture of grey and alpha would otherwise be composed on the background's first channel.
    if (stored === 2) opened.pipelineColourspace(depth === 'uchar' ? 'srgb' : 'rgb16');
    const picture = opened.flatten({ background }).resize(width, height, { fit: 'cover' });
    const coloured =
      channels === 1 ? picture.greyscale().toColourspace('b-w') : picture.toColourspace('srgb');
    const bytes = new Uint8Array(await coloured.raw({ depth: 'uchar' }).toBuffer());
    if (bytes.length === height * width * channels) return bytes;
    throw new DataError(`${path}: expected ${height * width * channels} bytes, got ${bytes.length}.`, {
      path,
    });
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    const [reason = ''] = (cause instanceof Error ? cause.message : String(cause)).split('\n');
    throw new DataError(
      `${path}: expected a picture, got: ${reason}. Replace or remove it.`,
      { path },
      cause,
    );
  }
}

/** @throws DataError unless `path` is a file with content */
export async function checkFile(path: string): Promise<number> {
  const found = await stat(path).catch((cause: unknown) => {
    const code = systemCode(cause) ?? String(cause);
    const reason = code === 'ENOENT' ? 'no file, or a link to none' : code;
    throw new DataError(`${path}: expected a picture, got ${reason}. Replace or remove it.`, { path }, cause);
  });
  const problem = !found.isFile() ? 'no regular file' : found.size === 0 ? 'an empty file' : undefined;
  if (problem === undefined) return found.size;
  throw new DataError(`${path}: expected a picture, got ${problem}. Replace or remove it.`, { path });
}
