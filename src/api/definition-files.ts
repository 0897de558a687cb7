/**
 * Finds the local files that a training definition consists of: its own file and the files that it imports, directly or through
 * others. Packages in `node_modules` are named and not followed. The specifiers are taken from jiti's translation of each file, in
 * which every static import, every `require` and every `import()` of a constant is a call, and resolved by jiti as when they are loaded.
 */

import { existsSync, realpathSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { dirname, extname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { createJiti, type Jiti } from 'jiti';
import { maxDefinitionBytes, maxDefinitionFiles } from '../shared/runs/definition-record.js';
import { isCacheTrouble, usableCache } from './transpile-cache.js';

export interface DefinitionFiles {
  /** The deepest folder that contains all files. */
  readonly root: string;
  /** Names below `root`, with slashes. */
  readonly entry: string;
  readonly files: ReadonlyMap<string, Buffer>;
  /** Names of symbolic links, and the files that they name. */
  readonly links: ReadonlyMap<string, string>;
  readonly packages: readonly string[];
  /** The reason why there are no files: there are too many, or one can't be read; null: all are there. */
  readonly incomplete: string | null;
}

/** A call with one constant text: `jitiImport("./a")`, `require("./a")`, or the end of a translated `import("./a")`. */
const constantCall = /(?:\b(?:jitiImport|require|import)|\))\s*\(\s*(["'`])([^"'`$\\\n]+)\1\s*\)/g;
const isCode = /\.[cm]?[jt]sx?$/;
const isTypescript = /\.[cm]?tsx?$/;
const extensions = ['', '.ts', '.mts', '.cts', '.tsx', '.js', '.mjs', '.cjs', '.jsx', '.json'];

/**
 * @param path the definition
 * @param cache folder of the translations that `loadDefinition` has made; see transpile-cache.ts
 */
export async function definitionFiles(path: string, cache?: string): Promise<DefinitionFiles> {
  const search = new FileSearch(cache === undefined ? undefined : usableCache(cache));
  const entry = realpathSync(path);
  let incomplete: string | null = null;
  try {
    await search.add(entry);
  } catch (error) {
    incomplete = error instanceof Error ? error.message : String(error);
  }
  const root = commonFolder([entry, ...search.files.keys(), ...search.links.keys()]);
  const nameOf = (file: string): string => relative(root, file).split(sep).join('/');
  const isComplete = incomplete === null;
  return {
    root,
    entry: nameOf(entry),
    files: new Map(isComplete ? [...search.files].map(([file, bytes]) => [nameOf(file), bytes]) : []),
    links: new Map(isComplete ? [...search.links].map(([link, file]) => [nameOf(link), nameOf(file)]) : []),
    packages: [...search.packages].sort(),
    incomplete,
  };
}

class FileSearch {
  #cache: string | undefined;
  #jiti: Jiti;
  /** Contents by real path. */
  readonly files = new Map<string, Buffer>();
  /** Real path by the path of a symbolic link to it. */
  readonly links = new Map<string, string>();
  readonly packages = new Set<string>();
  #bytes = 0;

  constructor(cache: string | undefined) {
    this.#cache = cache;
    this.#jiti = createJiti(import.meta.url, { moduleCache: false, fsCache: cache ?? false });
  }

  /** Adds a file and those that it imports. @throws if there are too many, or if one cannot be read */
  async add(file: string): Promise<void> {
    if (this.files.has(file)) return;
    const { size } = await stat(file);
    this.#bytes += size;
    if (this.#bytes > maxDefinitionBytes)
      throw new Error(
        `its files have more than ${maxDefinitionBytes / 2 ** 20} MiB (${file} has ${size} bytes). Read large data from a file instead of importing it.`,
      );
    if (this.files.size >= maxDefinitionFiles)
      throw new Error(`it imports more than ${maxDefinitionFiles} local files`);
    const bytes = await readFile(file);
    this.files.set(file, bytes);
    for (const specifier of this.#specifiersOf(file, bytes)) await this.#follow(specifier, file);
  }

  #specifiersOf(file: string, bytes: Buffer): string[] {
    if (!isCode.test(file)) return [];
    const source = bytes.toString('utf8');
    let code = source;
    try {
      code = this.#translate(source, file);
    } catch {
      // A file that is never loaded may be invalid. One that is loaded has been reported before.
    }
    return [...code.matchAll(constantCall)].map(([, , specifier = '']) => specifier);
  }

  #translate(source: string, file: string): string {
    try {
      return this.#jiti.transform({ source, filename: file, ts: isTypescript.test(file), async: true });
    } catch (error) {
      if (this.#cache === undefined || !isCacheTrouble(error, this.#cache)) throw error;
      this.#cache = undefined;
      this.#jiti = createJiti(import.meta.url, { moduleCache: false, fsCache: false });
      return this.#translate(source, file);
    }
  }

  async #follow(specifier: string, from: string): Promise<void> {
    const isPath = /^(\.{0,2}\/|\.{1,2}$|file:)/.test(specifier);
    if (!isPath && (isBuiltin(specifier) || specifier.startsWith('data:'))) return;
    const found = this.#jiti.esmResolve(specifier, { parentURL: pathToFileURL(from).href, try: true });
    const file = found?.startsWith('file:') === true ? fileURLToPath(found) : undefined;
    const isLocal = file !== undefined && !file.includes(`${sep}node_modules${sep}`);
    if (!isPath && !(isLocal && specifier.startsWith('#'))) {
      // A text in a call of the user's own need not be a package.
      if (file !== undefined) this.packages.add(specifier);
      return;
    }
    if (!isLocal || !(isCode.test(file) || extname(file) === '.json') || !existsSync(file)) return;
    if (isPath) this.#noteLink(specifier, from, file);
    await this.add(file);
  }

  /** A file that is reached through a symbolic link is imported by the link's name. */
  #noteLink(specifier: string, from: string, file: string): void {
    const base = specifier.startsWith('file:') ? fileURLToPath(specifier) : resolve(dirname(from), specifier);
    const [named] = extensions.map((extension) => base + extension).filter((path) => isNameOf(path, file));
    if (named !== undefined && named !== file) this.links.set(named, file);
  }
}

function isNameOf(path: string, file: string): boolean {
  try {
    return realpathSync(path) === file;
  } catch {
    return false;
  }
}

function commonFolder(files: readonly string[]): string {
  const [first = sep, ...others] = files.map((file) => dirname(file));
  return others.reduce((folder, other) => {
    let common = folder;
    while (!`${other}${sep}`.startsWith(common.endsWith(sep) ? common : `${common}${sep}`))
      common = join(common, '..');
    return common;
  }, first);
}
