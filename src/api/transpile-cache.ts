/**
 * The folder of transpiled training definitions. Every process of a run loads the definition. With this folder only the first one
 * transpiles it, which saves 0.2 s in each of the others. The files are executed, so the folder is used only if no other user can
 * write to it. It may be deleted at any time.
 */

import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { getuid } from 'node:process';

/** Names of definitions' files differ by their paths; more than this many are other people's temporary folders, long gone. */
const mostEntries = 400;

/** Creates the folder if necessary and removes old files; returns undefined if it cannot be used or trusted. */
export function usableCache(folder: string): string | undefined {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const { uid, mode } = statSync(folder);
    // Windows has no user ids and modes.
    if (getuid && (uid !== getuid() || (mode & 0o022) !== 0)) return undefined;
    sweep(folder);
    return folder;
  } catch {
    return undefined;
  }
}

/** Keeps the newer half of the files if there are too many. */
function sweep(folder: string): void {
  const names = readdirSync(folder);
  if (names.length <= mostEntries) return;
  const oldestFirst = names
    .map((name) => ({ name, atMs: statSync(join(folder, name)).mtimeMs }))
    .sort((a, b) => a.atMs - b.atMs);
  for (const { name } of oldestFirst.slice(0, names.length - mostEntries / 2))
    rmSync(join(folder, name), { force: true });
}

/** Returns true if a cached file could not be read or written: the disk is full, or another process has removed old files. */
export function isCacheTrouble(error: unknown, folder: string): boolean {
  if (!(error instanceof Error) || !('syscall' in error)) return false;
  const { syscall, path } = error as NodeJS.ErrnoException;
  // A write by descriptor names no path.
  return path?.startsWith(folder) ?? syscall === 'write';
}
