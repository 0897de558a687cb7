/**
 * Converts an image file with one digit to the bytes that a network trained on MNIST expects. This module reads the file and
 * limits its size; ink.ts separates the digit from the background, and mnist-field.ts lays it out like MNIST.
 *
 *     file -> upright 8 bit RGBA, at most 1024 per side -> ink (0 none, 255 full) -> bounding box -> scaled, centred
 */
import { stat } from 'node:fs/promises';
import { loadSharp } from '../../api/data/load-sharp.js';
import { DataError, systemCode } from '../../shared/errors.js';
import { findInk, isMnistLike, toGrey } from './ink.js';
import { type FieldSize, layOut } from './mnist-field.js';

/** Larger than the pictures of cameras, smaller than what would exhaust a small machine. */
const MAX_INPUT_PIXELS = 100_000_000;
const MAX_FILE_BYTES = 2 ** 28;
/** Finer detail would vanish in a field of 28 pixels. */
const MAX_WORKING_SIDE = 1024;

/**
 * Reads one digit from an image file: any format that sharp reads, any size, grey or colour, with or without
 * transparency, dark on light or light on dark. Returns `height * width` bytes, row by row, light on dark (0 is
 * background), for `fillNormalized` or the network's input.
 *
 * 1. Transparent pixels take the background's colour; if the border itself is transparent, that is white for a dark
 *    drawing and black for a light one. Colour becomes grey.
 * 2. The median of the border is the background. Ink is the distance from it on the side that reaches further, so
 *    light and dark backgrounds give the same result; contrast is stretched until the strongest ink is 255.
 * 3. The ink's bounding box is scaled, keeping its aspect, to fit 20 x 20 in a field of 28 x 28 (in proportion for
 *    other sizes), and placed with its centre of mass at the field's centre: LeCun, Bottou, Bengio and Haffner,
 *    "Gradient-Based Learning Applied to Document Recognition" (1998), III.A.
 *
 * A grey, opaque picture that has the field's size and a black border is returned unchanged. The picture should contain one
 * digit and nothing else; of an animation the first frame is used.
 *
 * @throws DataError if the file cannot be read as an image, is too large, or shows no ink
 */
export async function loadDigitImage(file: string, size: FieldSize): Promise<Uint8Array> {
  await checkFile(file);
  const picture = await decode(file);
  const grey = toGrey(picture);
  const ink = findInk(grey);
  if (!ink) {
    throw refuse(
      file,
      'writing that differs from its background',
      'a blank image',
      'Give a picture of one digit.',
    );
  }
  if (picture.height === size.height && picture.width === size.width && isMnistLike(picture))
    return grey.pixels;
  return layOut(ink, size);
}

async function decode(file: string): Promise<{ rgba: Uint8Array; height: number; width: number }> {
  const sharp = await loadSharp(`Picture ${file}`);
  try {
    const { data, info } = await sharp(file, { limitInputPixels: MAX_INPUT_PIXELS, failOn: 'error' })
      .autoOrient()
      .resize(MAX_WORKING_SIDE, MAX_WORKING_SIDE, { fit: 'inside', withoutEnlargement: true })
      .toColourspace('srgb')
      .ensureAlpha()
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    return { rgba: data, height: info.height, width: info.width };
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error);
    const expected = `a whole image of at most ${MAX_INPUT_PIXELS} pixels`;
    throw refuse(file, expected, found, 'Save it again as PNG or JPEG.', error);
  }
}

/** Refuses files for which sharp's message would be less clear. */
async function checkFile(file: string): Promise<void> {
  const expected = `an image file of at most ${MAX_FILE_BYTES} bytes`;
  const remedy = 'Name an image of one digit.';
  const stats = await stat(file).catch((error: unknown) => {
    throw refuse(file, expected, systemCode(error) ?? String(error), remedy, error);
  });
  if (!stats.isFile())
    throw refuse(file, expected, stats.isDirectory() ? 'a directory' : 'a special file', remedy);
  if (stats.size > MAX_FILE_BYTES) throw refuse(file, expected, `${stats.size} bytes`, remedy);
}

function refuse(file: string, expected: string, found: string, remedy: string, cause?: unknown): DataError {
  return new DataError(
    `${file}: expected ${expected}, got ${found}. ${remedy}`,
    { file, expected, found, remedy },
    cause,
  );
}
