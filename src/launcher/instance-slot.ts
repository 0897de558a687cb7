/**
 * Numbers the workers that one user starts by hand on one host for one coordinator: 0, 1, 2, ... A process holds its number until it
 * ends, and the next one takes the lowest free number, so a process that replaces another one gets its number.
 *
 * A number is held by a socket that listens under its name. Connections to it are refused once the process has ended, however it ends. The
 * sockets are files in a folder that only this user can enter: other users can neither reach them nor hold the numbers
 * themselves. The file that a killed process leaves is removed by the next one that wants its number. Containers share their numbers if
 * they share the folder. On Windows the sockets are named pipes, which the system removes with their process.
 */

import { rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { platform } from 'node:process';
import { join } from 'node:path';
import lockfile from 'proper-lockfile';
import { systemCode } from '../shared/errors.js';

/** More workers than this on one host get no number. */
const mostSlots = 1_024;

/** A process that was killed while it took a number keeps out the others for this time. */
const staleMs = 5_000;
const retries = { retries: 100, factor: 1.1, minTimeout: 10, maxTimeout: 200, randomize: true };

/**
 * Takes the lowest free number for the rest of this process's life.
 * @param folder a folder that only this user can enter; not used on Windows
 * @param group processes of other groups have numbers of their own; at most 12 characters, since a socket's path is short
 * @returns undefined if there is none, for example because sockets are not permitted
 */
export async function takeSlot(folder: string, group: string): Promise<number | undefined> {
  if (platform === 'win32')
    return takeLowest((slot) => listen(`\\\\.\\pipe\\lockstep-worker-${group}-user-${slot}`));
  const unlock = await lockFolder(folder, group);
  if (!unlock) return undefined;
  try {
    return await takeLowest((slot) => takeFile(join(folder, `s-${group}-${slot}`)));
  } finally {
    // A lock that can't be given back expires.
    await unlock().catch(() => undefined);
  }
}

/**
 * Locks the folder, so that one process at a time removes the files of killed processes and makes its own. A second process could
 * otherwise remove the file that the first one has just made in place of an old one.
 */
async function lockFolder(folder: string, group: string): Promise<(() => Promise<void>) | undefined> {
  const lockfilePath = join(folder, `s-${group}.lock`);
  const options = { lockfilePath, realpath: false, stale: staleMs, retries, onCompromised: () => undefined };
  return lockfile.lock(folder, options).catch(() => undefined);
}

type Outcome = 'taken' | 'held' | 'impossible';

async function takeLowest(take: (slot: number) => Promise<Outcome>): Promise<number | undefined> {
  for (let slot = 0; slot < mostSlots; slot++) {
    const outcome = await take(slot);
    if (outcome === 'taken') return slot;
    if (outcome === 'impossible') return undefined;
  }
  return undefined;
}

async function takeFile(path: string): Promise<Outcome> {
  let outcome = await listen(path);
  if (outcome === 'held' && !(await answers(path))) {
    // A file that a killed process has left.
    remove(path);
    outcome = await listen(path);
  }
  if (outcome === 'taken') process.once('exit', () => remove(path));
  return outcome;
}

/** The next process removes a file that this one can't. */
function remove(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // The file is still there, and no process listens at it.
  }
}

function listen(name: string): Promise<Outcome> {
  return new Promise((resolve) => {
    const server = createServer((caller) => caller.destroy());
    server.once('error', (error) => resolve(systemCode(error) === 'EADDRINUSE' ? 'held' : 'impossible'));
    server.listen(name, () => {
      server.unref();
      resolve('taken');
    });
  });
}

function answers(name: string): Promise<boolean> {
  return new Promise((resolve) => {
    const caller = connect(name, () => {
      caller.destroy();
      resolve(true);
    });
    // A process that hangs has more callers than it can take (EAGAIN).
    caller.once('error', (error) => resolve(systemCode(error) === 'EAGAIN'));
  });
}
