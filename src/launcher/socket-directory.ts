/** The folder of a run's sockets on one host. Only the user who started the run can enter it. */

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Maximum length of a Unix socket's path (sun_path on macOS; Linux has 108), less the name in the folder. */
const longestDirectory = 103 - 20;

/** Returns null on platforms without Unix sockets; processes then use TCP on loopback. */
export function makeSocketDirectory(): string | null {
  if (process.platform === 'win32') return null;
  const base = join(tmpdir(), 'lockstep-');
  return mkdtempSync(base.length + 6 <= longestDirectory ? base : '/tmp/lockstep-');
}

export function removeSocketDirectory(directory: string | null): void {
  if (directory !== null) rmSync(directory, { recursive: true, force: true });
}

/** Removes the sockets that a killed worker has left in the folder. */
export function removeSocketsOf(directory: string | null, pid: number): void {
  if (directory === null) return;
  for (const name of readdirSync(directory)) {
    if (name.startsWith(`w-${pid}-`)) rmSync(join(directory, name), { force: true });
  }
}
