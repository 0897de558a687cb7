/**
 * The folder in which definitions are kept transpiled, so that the second process of a run needn't load a compiler to read one. What
 * lies there is executed: it is used only where nobody but this user can write. It may be deleted at any time.
 */

import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { getuid } from 'node:process';

/** Names of definitions' files differ by their paths; more than this many are other people's temporary folders, long gone. */
const mostEntries = 400;

/** The folder, made and swept if need be; undefined where it can't be had or trusted. */
export function usableCache(folder: string): string | undefined {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const { uid, mode } = statSync(folder);
    // Windows has neither.
    if (getuid && (uid !== getuid() || (mode & 0o022) !== 0)) return undefined;
    sweep(folder);
    return folder;
  } catch {
    return undefined;
  }
}

/** Leaves the newer half when there are too many. */
function sweep(folder: string): void {
  const names = readdirSync(folder);
  if (names.length <= mostEntries) return;
  const oldestFirst = names
    .map((name) => ({ name, atMs: statSync(join(folder, name)).mtimeMs }))
    .sort((a, b) => a.atMs - b.atMs);
  for (const { name } of oldestFirst.slice(0, names.length - mostEntries / 2))
    rmSync(join(folder, name), { force: true });
}

/** Whether a file of the cache couldn't be read or written: the disk is full, or another process swept. */
export function isCacheTrouble(error: unknown, folder: string): boolean {
  if (!(error instanceof Error) || !('syscall' in error)) return false;
  const { syscall, path } = error as NodeJS.ErrnoException;
  // A write by descriptor names no path.
  return path?.startsWith(folder) ?? syscall === 'write';
}
