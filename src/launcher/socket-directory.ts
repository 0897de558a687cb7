/** Where the sockets of a run on one host are: a folder that only this user can enter. */

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Longest path of a Unix socket (sun_path on macOS; Linux has 108), less the name in the folder. */
const longestDirectory = 103 - 20;

/** Null where there are no Unix sockets: TCP on loopback then. */
export function makeSocketDirectory(): string | null {
  if (process.platform === 'win32') return null;
  const base = join(tmpdir(), 'lockstep-');
  return mkdtempSync(base.length + 6 <= longestDirectory ? base : '/tmp/lockstep-');
}

export function removeSocketDirectory(directory: string | null): void {
  if (directory !== null) rmSync(directory, { recursive: true, force: true });
}

/** What a worker that was killed has left there. */
export function removeSocketsOf(directory: string | null, pid: number): void {
  if (directory === null) return;
  for (const name of readdirSync(directory)) {
    if (name.startsWith(`w-${pid}-`)) rmSync(join(directory, name), { force: true });
  }
}
