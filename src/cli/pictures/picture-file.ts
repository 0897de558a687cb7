/** Where `--picture` writes, and in which format. */

import { access, constants, lstat, stat } from 'node:fs/promises';
import { dirname, extname, resolve } from 'node:path';
import { ConfigError, systemCode } from '../../shared/errors.js';
import { writeFileAtomically } from '../../shared/files/write-whole.js';

const formats: readonly string[] = ['.svg', '.png'];
/** Dots an inch; a picture is made for 72. */
const density = 144;

/**
 * The whole path, once a picture can be written there: asked before the work is done that it shows. An earlier file is replaced.
 * @throws ConfigError
 */
export async function picturePlace(picture: string): Promise<string> {
  const file = resolve(picture);
  if (!formats.includes(extname(file).toLowerCase())) {
    throw new ConfigError(
      `--picture ${picture}: expected a name that ends in ${formats.join(' or ')}, got ` +
        `"${extname(file)}". Choose one of these.`,
    );
  }
  const found = await lstat(file).catch(() => undefined);
  if (found && !found.isFile()) {
    const what = found.isDirectory() ? 'a folder' : 'something else';
    throw new ConfigError(
      `--picture ${picture}: expected a new file or an earlier picture, got ${what}. Choose another name.`,
    );
  }
  try {
    await access(await nearestFolder(dirname(file)), constants.W_OK);
  } catch (cause) {
    throw notWritable(picture, cause);
  }
  return file;
}

/** `folder`, or the one that it would be made in. */
async function nearestFolder(folder: string): Promise<string> {
  try {
    // With the slash a file is no folder.
    await stat(`${folder}/`);
    return folder;
  } catch (cause) {
    if (systemCode(cause) !== 'ENOENT') throw cause;
    return nearestFolder(dirname(folder));
  }
}

/** @throws ConfigError when the disk doesn't take it */
export async function writePicture(file: string, svg: string): Promise<void> {
  const bytes = extname(file).toLowerCase() === '.svg' ? svg : await rasterized(svg);
  try {
    await writeFileAtomically(file, bytes);
  } catch (cause) {
    throw notWritable(file, cause);
  }
}

async function rasterized(svg: string): Promise<Buffer> {
  const { default: sharp } = await import('sharp');
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
