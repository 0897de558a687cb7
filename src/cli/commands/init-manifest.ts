/** The package.json of a project of `lockstep init`: a new one, or the entries that an existing one lacks. */

import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { ConfigError, systemCode } from '../../shared/errors.js';
import { writeFileAtomically } from '../../shared/files/write-whole.js';
import { optionalPackages } from '../../shared/optional-package.js';
import { version } from '../version.js';

type Manifest = Record<string, unknown>;

/** Entries that a project needs besides Lockstep: the starter is an ES module in TypeScript, and it has pictures. */
const needed: Readonly<Record<string, string | Readonly<Record<string, string>>>> = {
  type: 'module',
  scripts: { train: 'lockstep train', check: 'tsc' },
  dependencies: { sharp: optionalPackages.sharp },
  devDependencies: { typescript: '^5.9.0' },
};

/** Returns the text of a package.json for a new project in that folder. */
export function newManifest(folder: string): string {
  const name = basename(folder)
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, '-')
    .replaceAll(/^-+|-+$/g, '');
  const manifest: Manifest = { name: name || 'training', private: true };
  addMissing(manifest);
  manifest['dependencies'] = { lockstep: `^${version}`, ...(manifest['dependencies'] as object) };
  return format(manifest);
}

/**
 * Adds what the folder's package.json lacks and changes none of its values. Returns the names of the added entries.
 * @throws ConfigError if the file is no JSON object, or cannot be written
 */
export async function completeManifest(folder: string): Promise<readonly string[]> {
  const file = join(folder, 'package.json');
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined) return [];
  const manifest = parse(text, file);
  const added = addMissing(manifest);
  if (added.length === 0) return added;
  try {
    await writeFileAtomically(file, format(manifest));
  } catch (cause) {
    throw new ConfigError(
      `${file} can't be written (${systemCode(cause) ?? String(cause)}).`,
      { file },
      cause,
    );
  }
  return added;
}

function parse(text: string, file: string): Manifest {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    // Reported below.
  }
  if (isObject(parsed)) return parsed;
  throw new ConfigError(`${file}: expected a JSON object, got other text. Correct the file or remove it.`, {
    file,
  });
}

function addMissing(manifest: Manifest): string[] {
  const added: string[] = [];
  for (const [field, value] of Object.entries(needed)) {
    if (typeof value === 'string') {
      if (manifest[field] === undefined) {
        manifest[field] = value;
        added.push(field);
      }
      continue;
    }
    const present = manifest[field] ?? {};
    if (!isObject(present)) continue;
    for (const [name, entry] of Object.entries(value)) {
      const elsewhere = ['dependencies', 'devDependencies'].some((other) => {
        const list = manifest[other];
        return field !== 'scripts' && isObject(list) && name in list;
      });
      if (name in present || elsewhere) continue;
      manifest[field] = { ...present, ...(manifest[field] as object), [name]: entry };
      added.push(`${field}.${name}`);
    }
  }
  return added;
}

const isObject = (value: unknown): value is Manifest =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const format = (manifest: Manifest): string => `${JSON.stringify(manifest, null, 2)}\n`;
