/** Hashes of the files that Lockstep itself consists of, as this process finds them when it starts. */

import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { boundedEntries, shortHash, type Entries } from './fingerprint.js';

/** The package, from src/shared/identity and from dist/shared/identity. */
const packageFolder = fileURLToPath(new URL('../../../', import.meta.url));
/** `src` or `dist`, in which this file is. */
const codeFolder = fileURLToPath(new URL('../../', import.meta.url));
/** The bundles of dist, which are executed in place of the modules that they are made of (scripts/build-processes.mjs). */
const bundleFolder = join(codeFolder, 'processes');
/** The compiled kernels, which both load. */
const wasmFolder = join(packageFolder, 'dist', 'wasm');

let found: Entries | undefined;

/** Reads 190 files of 2 MB in total at the first call. */
export function codeFiles(): Entries {
  const executed = existsSync(bundleFolder) ? bundleFolder : codeFolder;
  found ??= boundedEntries({ ...hashesBelow(executed), ...hashesBelow(wasmFolder) });
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
