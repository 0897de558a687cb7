/**
 * Checks which other users of this machine could change a file or enter a folder, by owners and modes. Root is trusted, since it can
 * do both anyway. Access-control lists are not read. Systems without user ids (Windows) have no such checks.
 */

import { lstatSync, readFileSync, readlinkSync, type Stats } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { getuid } from 'node:process';

/** Maximum number of symbolic links on a path, as in Linux. */
const maxLinks = 40;

const groupWrite = 0o020;
const anyoneWrite = 0o002;
const sticky = 0o1000;

/**
 * Returns how another user could replace or change the file or folder, as a clause; undefined if none can. Every folder on the path and
 * every symbolic link is checked.
 * @throws the file system's error if something on the path is missing
 */
export function changeableByOthers(path: string): string | undefined {
  if (!getuid) return undefined;
  return changeable(resolve(path), true, maxLinks);
}

/**
 * Returns how another user could replace this user's entries in a folder, as a clause; undefined if none can. Others may be allowed to
 * make entries of their own, as in /tmp.
 * @throws the file system's error if something on the path is missing
 */
export function entriesReplaceableByOthers(folder: string): string | undefined {
  if (!getuid) return undefined;
  return changeable(resolve(folder), false, maxLinks);
}

function changeable(path: string, isTarget: boolean, links: number): string | undefined {
  const stats = lstatSync(path);
  const own = ownFault(path, stats, isTarget);
  if (own !== undefined) return own;
  const above = dirname(path) === path ? undefined : changeable(dirname(path), false, links);
  if (above !== undefined || !stats.isSymbolicLink()) return above;
  if (links === 0) return `${path} leads through more than ${maxLinks} symbolic links`;
  return changeable(resolve(dirname(path), readlinkSync(path)), isTarget, links - 1);
}

function ownFault(path: string, stats: Stats, isTarget: boolean): string | undefined {
  if (!isTrustedOwner(stats.uid)) return `${path} belongs to user ${stats.uid}`;
  // The mode of a symbolic link has no meaning.
  if (stats.isSymbolicLink()) return undefined;
  // In a sticky folder such as /tmp, only the owner of an entry can replace it.
  if (!isTarget && stats.isDirectory() && (stats.mode & sticky) !== 0) return undefined;
  const mode = (stats.mode & 0o7777).toString(8);
  if ((stats.mode & anyoneWrite) !== 0) return `everyone can write to ${path} (mode ${mode})`;
  if ((stats.mode & groupWrite) !== 0 && !isPrivateGroup(stats.gid))
    return `group ${stats.gid} can write to ${path} (mode ${mode})`;
  return undefined;
}

function isTrustedOwner(uid: number): boolean {
  return uid === 0 || uid === getuid?.();
}

/**
 * Returns true if the group has no other members than this user and root. Many Linux systems give each user such a group, and files that it can
 * write. A group that /etc does not list, e.g. of a directory service, is not private.
 */
function isPrivateGroup(gid: number): boolean {
  try {
    const users = table('/etc/passwd');
    const trusted = new Set(users.filter(([, , uid]) => isTrustedOwner(Number(uid))).map(([name]) => name));
    const group = table('/etc/group').find(([, , id]) => Number(id) === gid);
    if (group === undefined) return false;
    const listed = (group[3] ?? '').split(',').filter(Boolean);
    const primary = users.filter(([, , , id]) => Number(id) === gid).map(([name]) => name);
    return [...listed, ...primary].every((name) => trusted.has(name));
  } catch {
    return false;
  }
}

function table(file: string): string[][] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => line.split(':'));
}

/**
 * Returns why another user could enter the folder or replace it, as a clause; undefined if none can.
 * @throws the file system's error if the folder is missing
 */
export function enterableByOthers(folder: string): string | undefined {
  if (!getuid) return undefined;
  const stats = lstatSync(folder);
  if (!stats.isDirectory()) return `${folder} is not a folder`;
  if (stats.uid !== getuid()) return `${folder} belongs to user ${stats.uid}`;
  if ((stats.mode & 0o077) !== 0)
    return `others have access to ${folder} (mode ${(stats.mode & 0o7777).toString(8)})`;
  return changeableByOthers(folder);
}
