/** The folders of sockets on one host. Only the user who started the run can enter them. */

import { accessSync, constants, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { getuid } from 'node:process';
import { ConfigError, systemCode } from '../shared/errors.js';
import { makeTemporaryFolder } from '../shared/files/temporary-folder.js';
import { defaultPort, formatTcp } from '../shared/network/address.js';
import { enterableByOthers, entriesReplaceableByOthers } from '../shared/files/ownership.js';
import { restoreFolder } from '../shared/files/restore-folder.js';

/** Maximum length of a Unix socket's path (sun_path on macOS; Linux has 108), less the name in the folder. */
const longestDirectory = 103 - 20;
/** Maximum length of the name of a folder in the temporary directory, with a slash. */
const maxNameLength = '/lockstep-4294967295'.length;

/**
 * Returns null on platforms without Unix sockets; processes then use TCP on loopback.
 * @throws ConfigError if there is no folder for it
 */
export function makeSocketDirectory(): string | null {
  if (!getuid) return null;
  return makeTemporaryFolder('lockstep-', temporaryBase());
}

/**
 * Returns the first folder for temporary files in which others can't replace this user's entries and in which a socket's path is short
 * enough. In containers, a volume at /tmp often lacks the sticky bit that prevents this.
 */
function temporaryBase(): string {
  const faults: string[] = [];
  for (const base of bases()) {
    const fault = baseFault(base);
    if (fault === undefined) return base;
    faults.push(fault);
  }
  throw new ConfigError(
    `Socket folder: expected a temporary directory in which others cannot replace files of this user, got none: ${faults.join('; ')}. ` +
      'Set TMPDIR to a folder of your own, with a short path.',
  );
}

/** The address of a coordinator in a folder of sockets. */
export const addressIn = (directory: string): string => `ipc://${join(directory, 'coordinator')}`;

const bases = (): ReadonlySet<string> => new Set([tmpdir(), '/tmp', '/dev/shm']);

/** Returns true if `makeSocketDirectory` may have made a folder in this one. */
export function isTemporaryBase(folder: string): boolean {
  return [...bases()].some((base) => resolve(base) === folder);
}

function baseFault(base: string): string | undefined {
  if (base.length > longestDirectory - maxNameLength) return `the path ${base} is too long`;
  try {
    accessSync(base, constants.W_OK);
    return entriesReplaceableByOthers(base);
  } catch (error) {
    return `${base} can't be used (${systemCode(error) ?? String(error)})`;
  }
}

/** A folder that cannot be removed remains: it must not change the outcome of the run. */
export function removeSocketDirectory(directory: string | null): void {
  if (directory === null) return;
  try {
    rmSync(directory, { recursive: true, force: true });
  } catch (error) {
    process.stderr.write(
      `Warning: socket folder ${directory} can't be removed (${systemCode(error) ?? String(error)}).\n`,
    );
  }
}

/**
 * Creates the folder again if a cleaner of temporary folders has removed it. If another user has taken its name, the next worker refuses
 * the folder.
 */
export function restoreSocketDirectory(directory: string | null): void {
  // The next worker reports a folder that it can't use.
  if (directory !== null) restoreFolder(directory);
}

/** Removes the sockets that a killed worker has left in the folder. Those that cannot be removed are removed with the folder. */
export function removeSocketsOf(directory: string | null, pid: number): void {
  if (directory === null) return;
  for (const name of entriesOf(directory)) {
    if (name.startsWith(`w-${pid}-`)) removeSocket(join(directory, name));
  }
}

function removeSocket(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // The end of the run removes the folder.
  }
}

/** Empty if a cleaner of temporary folders has removed the folder; the processes that listen in it create it again. */
function entriesOf(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/**
 * Returns the address that the processes of this user on this host use if no address is given. It is a socket in the user's runtime folder.
 * If there is no runtime folder, the socket is in a folder of the temporary directory, which is created. On platforms without Unix sockets,
 * the address is a port on loopback.
 * @param runtime value of XDG_RUNTIME_DIR
 * @throws ConfigError if the folder can't be created, or belongs to another user, or others can enter it
 */
export function privateEndpoint(runtime: string | undefined): string {
  if (!getuid) return loopbackEndpoint;
  return `ipc://${join(runtimeFolder(runtime) ?? temporaryFolder(getuid()), 'coordinator')}`;
}

/** The address without Unix sockets. */
const loopbackEndpoint = formatTcp({ host: '127.0.0.1', port: defaultPort });

/** Returns undefined if there is no runtime folder, as in a container, or if it can't be used. */
function runtimeFolder(runtime: string | undefined): string | undefined {
  if (runtime === undefined || !runtime.startsWith('/')) return undefined;
  const folder = join(runtime, 'lockstep');
  return folder.length <= longestDirectory && faultOf(folder) === undefined ? folder : undefined;
}

function temporaryFolder(uid: number): string {
  const folder = join(temporaryBase(), `lockstep-${uid}`);
  const fault = faultOf(folder);
  if (fault === undefined) return folder;
  throw new ConfigError(
    `Socket folder ${folder}: expected a folder that only this user can enter, got another: ${fault}. ` +
      'Remove it, set XDG_RUNTIME_DIR or TMPDIR, or give the address of the coordinator (LOCKSTEP_COORDINATOR).',
    { folder },
  );
}

/** Creates the folder if it does not exist. Returns the reason why it can't be used. */
function faultOf(folder: string): string | undefined {
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') return `it can't be created (${systemCode(error) ?? String(error)})`;
  }
  try {
    return enterableByOthers(folder);
  } catch (error) {
    return `it can't be read (${systemCode(error) ?? String(error)})`;
  }
}
