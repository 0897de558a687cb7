/** Checks of the operating system: folders for sockets, shared memory, the default port and the limit of open files. */

import { constants, existsSync, readFileSync } from 'node:fs';
import { access } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { coordinatorEndpoint } from '../environment/environment.js';
import type { Check, Finding } from './finding.js';

/** Sockets, files and threads of a run with a few dozen workers. */
const neededOpenFiles = 1024;

export const systemChecks: readonly Check[] = [checkSockets, checkSharedMemory, checkAddress, checkOpenFiles];

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

/** Checks the address for pm2 and for workers that are started by hand. */
async function checkAddress(): Promise<Finding> {
  const name = 'Address';
  let endpoint: string;
  try {
    endpoint = coordinatorEndpoint();
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error);
    return {
      name,
      state: 'warning',
      found,
      advice: 'set LOCKSTEP_COORDINATOR, for pm2 and for workers started by hand',
    };
  }
  const port = Number(/:(\d+)$/.exec(endpoint)?.[1] ?? 0);
  const free = port === 0 || (await isFree(port));
  if (free) return { name, state: 'ok', found: `${endpoint} (for pm2 and workers started by hand)` };
  return {
    name,
    state: 'warning',
    found: `${endpoint} is in use`,
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
