/** Lists the pictures of a folder with one folder per class, and what it leaves out. */

import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DataError, systemCode } from '../../shared/errors.js';
import { pictureFormats, pictureNames } from './picture.js';
import { pictureIdentities } from './picture-identity.js';

export interface PictureFile {
  readonly path: string;
  /** Identifies the picture independently of the folder's location. */
  readonly id: string;
  readonly label: number;
}

export interface ClassFolder {
  /** The folder's name in Unicode's composed form, since file systems differ in the form that they store. */
  readonly name: string;
  readonly path: string;
}

/** Entries that operating systems and tools create beside a user's own. */
const systemEntries =
  /^(\.|__MACOSX$|@eaDir|Thumbs\.db$|ehthumbs\.db$|desktop\.ini$|\$RECYCLE\.BIN$|System Volume Information$|lost\+found$)/i;

/**
 * Returns the class folders of `folder`, sorted by name.
 * @param leftOut receives the paths of other entries, relative to `folder`
 * @throws DataError if the folder or an entry cannot be read, or there is no class folder
 */
export async function classFolders(folder: string, leftOut: LeftOut): Promise<ClassFolder[]> {
  const classes: ClassFolder[] = [];
  for (const entry of await entriesIn(folder, `a folder with a folder for each class`)) {
    const { name } = entry;
    const path = join(folder, name);
    if (systemEntries.test(name)) leftOut.system.push(name);
    else if ((await kindOf(path, entry)) === 'folder') classes.push({ name: name.normalize('NFC'), path });
    else leftOut.others.push(name);
  }
  if (classes.length === 0)
    throw new DataError(
      `${folder}: expected a folder for each class, got none. Move the pictures into one.`,
      { folder },
    );
  const twice = classes.find(({ name }, i) => classes.findIndex((one) => one.name === name) !== i);
  if (twice)
    throw new DataError(
      `${folder}: expected different class names, got "${twice.name}" twice. Merge the folders.`,
    );
  return classes;
}

/** Entries that are no part of the data set. */
export interface LeftOut {
  readonly system: string[];
  /** Files that are no pictures by their names. */
  readonly others: string[];
}

/**
 * Returns the pictures by class and name. Their ids contain their sizes and a hash of a part of their contents, for the data's hash.
 * @param classes names in order of class number
 * @throws DataError naming a class folder that is empty, unreadable or unknown, or a file that cannot be read
 */
export async function picturesIn(
  folder: string,
  classes: readonly string[],
  folders: readonly ClassFolder[],
  leftOut: LeftOut,
): Promise<PictureFile[]> {
  const unknown = folders.find(({ name }) => !classes.includes(name));
  if (unknown) {
    throw new DataError(
      `${folder}: expected the classes ${classes.join(', ')}, got "${unknown.name}" too. Add it to the training set, or remove it.`,
    );
  }
  const all: PictureFile[] = [];
  for (const [label, name] of classes.entries()) {
    const held = folders.find((one) => one.name === name);
    if (held) all.push(...(await picturesOf(held, label, leftOut)));
  }
  return all;
}

async function picturesOf(
  { name, path: folder }: ClassFolder,
  label: number,
  leftOut: LeftOut,
): Promise<PictureFile[]> {
  const found: string[] = [];
  for (const entry of await entriesIn(folder, 'a class folder that can be read')) {
    const file = entry.name;
    if (systemEntries.test(file)) leftOut.system.push(join(name, file));
    else if ((await kindOf(join(folder, file), entry)) === 'folder')
      throw new DataError(
        `${folder}: expected pictures, got the folder "${file}". Move its pictures up, or remove it.`,
      );
    else if (!pictureNames.test(file)) leftOut.others.push(join(name, file));
    else found.push(file);
  }
  if (found.length > 0) {
    const identities = await pictureIdentities(found.map((file) => join(folder, file)));
    return found.map((file, i) => ({
      path: join(folder, file),
      id: `${name}/${file}:${identities[i] ?? ''}`,
      label,
    }));
  }
  throw new DataError(
    `${folder}: expected pictures (${pictureFormats}) of the class "${name}", got none. Add some, or remove the folder.`,
    { folder },
  );
}

/** Sentences about the entries that are left out. */
export function notesOf(folder: string, { system, others }: LeftOut): string[] {
  const list = (entries: readonly string[]): string =>
    entries.slice(0, 5).join(', ') + (entries.length > 5 ? ', …' : '');
  const count = (entries: readonly string[], one: string, many: string): string =>
    entries.length === 1 ? `1 ${one} is` : `${entries.length} ${many} are`;
  const notes: string[] = [];
  if (system.length > 0)
    notes.push(
      `${folder}: ${count(system, 'hidden or system entry', 'hidden or system entries')} left out: ${list(system)}.`,
    );
  if (others.length > 0)
    notes.push(
      `${folder}: ${count(others, 'file', 'files')} left out, because only pictures in class folders (${pictureFormats}) ` +
        `are read: ${list(others)}.`,
    );
  return notes;
}

/** Sorted by name. */
async function entriesIn(folder: string, expected: string): Promise<Dirent[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (cause) {
    const found = systemCode(cause) ?? String(cause);
    throw new DataError(
      `${folder}: expected ${expected}, got ${found}. Check the path and the permissions.`,
      { folder },
      cause,
    );
  }
}

/** @throws DataError if a link leads nowhere or the entry cannot be read */
async function kindOf(path: string, entry: Dirent): Promise<'folder' | 'file'> {
  if (entry.isDirectory()) return 'folder';
  if (entry.isFile()) return 'file';
  try {
    return (await stat(path)).isDirectory() ? 'folder' : 'file';
  } catch (cause) {
    const code = systemCode(cause) ?? String(cause);
    const found = code === 'ENOENT' ? 'a link to a file that does not exist' : code;
    throw new DataError(
      `${path}: expected a file or a folder, got ${found}. Replace or remove it.`,
      { path },
      cause,
    );
  }
}
