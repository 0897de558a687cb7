/**
 * Numbers the workers that one user starts by hand on one host for one coordinator: 0, 1, 2, ... A process holds its number until it
 * ends, and the next one takes the lowest free number, so a process that replaces another one gets its number.
 *
 * A number is held by a socket that listens under its name and serves nobody. The system frees it when the process ends, however it ends.
 * On Linux the name is in the abstract namespace, which belongs to the network namespace: containers that share a host's network share
 * its numbers.
 */

import { unlinkSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { platform, getuid } from 'node:process';
import { join } from 'node:path';
import { systemCode } from '../shared/errors.js';

/** More workers than this on one host get no number. */
const mostSlots = 1_024;

/**
 * Takes the lowest free number for the rest of this process's life.
 * @param folder returns a folder that only this user can enter, for systems without a namespace of names
 * @param group processes of other groups have numbers of their own
 * @returns undefined if there is none, for example because sockets are not permitted
 */
export async function takeSlot(folder: () => string, group: string): Promise<number | undefined> {
  for (let slot = 0; slot < mostSlots; slot++) {
    const outcome = await take(nameOf(`${group}-${getuid?.() ?? 'user'}-${slot}`, folder));
    if (outcome === 'taken') return slot;
    if (outcome === 'impossible') return undefined;
  }
  return undefined;
}

function nameOf(member: string, folder: () => string): string {
  const name = `lockstep-worker-${member}`;
  if (platform === 'linux') return `\0${name}`;
  return platform === 'win32' ? `\\\\.\\pipe\\${name}` : join(folder(), name);
}

type Outcome = 'taken' | 'held' | 'impossible';

async function take(name: string): Promise<Outcome> {
  const outcome = await listen(name);
  if (outcome !== 'held' || name.startsWith('\0') || platform === 'win32' || (await answers(name)))
    return outcome;
  // A file that a killed process has left.
  unlinkSync(name);
  return listen(name);
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
    caller.once('error', () => resolve(false));
  });
}
