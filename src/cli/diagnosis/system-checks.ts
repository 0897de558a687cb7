/** Checks of the operating system: folders for sockets, shared memory, the default port and the limit of open files. */

import { constants, existsSync, readFileSync } from 'node:fs';
import { access } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { defaultCoordinator } from '../environment/environment.js';
import type { Check, Finding } from './finding.js';

/** Sockets, files and threads of a run with a few dozen workers. */
const neededOpenFiles = 1024;

export const systemChecks: readonly Check[] = [checkSockets, checkSharedMemory, checkPort, checkOpenFiles];

async function checkSockets(): Promise<Finding> {
  const folder = tmpdir();
  const writable = await access(folder, constants.W_OK).then(
    () => true,
    () => false,
  );
  if (writable) return { name: 'Sockets', state: 'ok', found: `${folder} can be written` };
  return {
    name: 'Sockets',
    state: 'problem',
    found: `${folder} can't be written`,
    advice: 'set TMPDIR: the sockets of workers on one host are created there',
  };
}

function checkSharedMemory(): Finding {
  const name = 'Shared memory';
  if (process.platform !== 'linux')
    return {
      name,
      state: 'warning',
      found: 'available on Linux only',
      advice: 'nothing to do: workers of one host use sockets instead, which are slower',
    };
  if (existsSync('/proc/self/fd'))
    return { name, state: 'ok', found: 'anonymous files through /proc (/dev/shm is not used)' };
  const advice = 'mount /proc, or workers of one host use sockets, which are slower';
  return { name, state: 'warning', found: 'no /proc', advice };
}

async function checkPort(): Promise<Finding> {
  const port = Number(/:(\d+)$/.exec(defaultCoordinator)?.[1] ?? 0);
  if (await isFree(port))
    return { name: 'Port', state: 'ok', found: `${port} is free (for pm2 and workers started by hand)` };
  return {
    name: 'Port',
    state: 'warning',
    found: `${port} is in use`,
    advice:
      'a coordinator may be running already; otherwise set LOCKSTEP_COORDINATOR. lockstep train needs no port',
  };
}

function checkOpenFiles(): Finding {
  const name = 'Open files';
  const limit = openFilesLimit();
  if (limit === undefined) return { name, state: 'ok', found: 'limit unknown on this system' };
  const found = `at most ${limit}`;
  if (limit >= neededOpenFiles) return { name, state: 'ok', found };
  return { name, state: 'warning', found, advice: `run ulimit -n ${neededOpenFiles} for many workers` };
}

function openFilesLimit(): number | undefined {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    return undefined;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
