/** Hashes of the files that Lockstep itself consists of, as this process finds them when it starts. */

import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { boundedEntries, shortHash, type Entries } from './fingerprint.js';

/** The package, from src/shared/identity and from dist/shared/identity. */
const packageFolder = fileURLToPath(new URL('../../../', import.meta.url));
/** `src` or `dist`, in which this file is. */
const codeFolder = fileURLToPath(new URL('../../', import.meta.url));
/** The compiled kernels, which both load. */
const wasmFolder = join(packageFolder, 'dist', 'wasm');

let found: Entries | undefined;

/** Reads about 430 files of 1.2 MB in total at the first call: 20 to 40 ms. */
export function codeFiles(): Entries {
  found ??= boundedEntries({ ...hashesBelow(codeFolder), ...hashesBelow(wasmFolder) });
  return found;
}

function hashesBelow(folder: string): Entries {
  if (!existsSync(folder)) return {};
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(js|ts|wasm)$/.test(entry.name) && !entry.name.endsWith('.d.ts'))
    .map((entry) => join(entry.parentPath, entry.name));
  const nameOf = (file: string): string => relative(packageFolder, file).split(sep).join('/');
  return Object.fromEntries(files.sort().map((file) => [nameOf(file), shortHash(readFileSync(file))]));
}
