/** Checks and writes the file of `--picture`, as SVG or PNG. */

import { access, constants, lstat, stat } from 'node:fs/promises';
import { dirname, extname, resolve } from 'node:path';
import { loadSharp } from '../../api/data/load-sharp.js';
import { ConfigError, systemCode } from '../../shared/errors.js';
import { writeFileAtomically } from '../../shared/files/write-whole.js';

const formats: readonly string[] = ['.svg', '.png'];
/** Dots per inch of a PNG; an SVG is drawn for 72. */
const density = 144;

/**
 * Returns the absolute path if a picture can be written there. The check precedes the evaluation, which takes long. An earlier
 * picture is replaced.
 * @throws ConfigError
 */
export async function pictureFile(picture: string): Promise<string> {
  const file = resolve(picture);
  if (!formats.includes(extname(file).toLowerCase())) {
    throw new ConfigError(
      `--picture ${picture}: expected a name that ends in ${formats.join(' or ')}, got ` +
        `"${extname(file)}". Choose one of these.`,
    );
  }
  const found = await lstat(file).catch(() => undefined);
  if (found && !found.isFile()) {
    const got = found.isDirectory() ? 'a folder' : 'a link or a special file';
    throw new ConfigError(
      `--picture ${picture}: expected a new file or an earlier picture, got ${got}. Choose another name.`,
    );
  }
  try {
    await access(await nearestFolder(dirname(file)), constants.W_OK);
  } catch (cause) {
    throw notWritable(picture, cause);
  }
  return file;
}

/** Returns `folder`, or its nearest ancestor that exists. */
async function nearestFolder(folder: string): Promise<string> {
  try {
    // With the trailing slash, a file is not accepted as a folder.
    await stat(`${folder}/`);
    return folder;
  } catch (cause) {
    if (systemCode(cause) !== 'ENOENT') throw cause;
    return nearestFolder(dirname(folder));
  }
}

/** @throws ConfigError if the file cannot be written */
export async function writePicture(file: string, svg: string): Promise<void> {
  const bytes = extname(file).toLowerCase() === '.svg' ? svg : await rasterized(svg);
  try {
    await writeFileAtomically(file, bytes);
  } catch (cause) {
    throw notWritable(file, cause);
  }
}

async function rasterized(svg: string): Promise<Buffer> {
  const sharp = await loadSharp('--picture as PNG');
  return sharp(Buffer.from(svg), { density }).png({ compressionLevel: 9 }).toBuffer();
}

function notWritable(picture: string, cause: unknown): ConfigError {
  const got = systemCode(cause) ?? String(cause);
  return new ConfigError(
    `--picture ${picture}: expected a folder that can be written, got ${got}. Choose a file in another one.`,
    { picture },
    cause,
  );
}
