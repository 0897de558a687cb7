/** Looks at the machine for `lockstep doctor`. Each check answers for itself; none changes anything or needs the network. */

import { constants, accessSync, existsSync, readFileSync } from 'node:fs';
import { access, statfs } from 'node:fs/promises';
import { createServer } from 'node:net';
import { availableParallelism, freemem, tmpdir, totalmem } from 'node:os';
import { delimiter, join } from 'node:path';
import { engineRoot } from '../worker/engine/cache.js';
import { engineStatus } from '../worker/engine/status.js';
import { currentEngineHost, defaultCoordinator, presentGpus, searchPath } from './options/environment.js';

export interface Finding {
  readonly name: string;
  /** warning: trains, but slower or not in every way; problem: does not train as it is. */
  readonly state: 'ok' | 'warning' | 'problem';
  readonly found: string;
  /** What to do about it. */
  readonly advice?: string;
}

type Check = () => Finding | Promise<Finding>;

const gigabyte = 2 ** 30;
const inGigabytes = (bytes: number): string => `${(bytes / gigabyte).toFixed(1)} GB`;

/** As package.json's `engines`. */
const leastNode = [20, 19] as const;
/** A worker with the recipe's model and MNIST takes about 600 MB. */
const workerBytes = 0.75 * gigabyte;
/** An engine, its download, and a run's checkpoints. */
const neededDiskBytes = 2 * gigabyte;
/** Sockets, files and threads of a run with a few dozen workers. */
const neededOpenFiles = 1024;

export async function diagnose(): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const check of checks) findings.push(await check());
  return findings;
}

const checks: readonly Check[] = [
  () => {
    const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
    const [least, leastMinor] = leastNode;
    const good = major > least || (major === least && minor >= leastMinor);
    return good
      ? { name: 'Node', state: 'ok', found: process.versions.node }
      : {
          name: 'Node',
          state: 'problem',
          found: process.versions.node,
          advice: `install ${leastNode.join('.')} or newer`,
        };
  },
  async () => {
    const status = await engineStatus(currentEngineHost());
    const found = `${status.library} ${status.version ?? ''} on ${status.device}`;
    if (!status.usable)
      return {
        name: 'Engine',
        state: 'warning',
        found: status.problem ?? found,
        advice: `run ${status.next}`,
      };
    if (!status.ownKernels)
      return {
        name: 'Engine',
        state: 'warning',
        found: `${found}, without Lockstep's own kernels: slower`,
        advice: 'run lockstep engine install --force, with a C++17 compiler installed',
      };
    return { name: 'Engine', state: 'ok', found };
  },
  () => {
    const python = onPath('python3') ?? onPath('python');
    const compiler = onPath('c++') ?? onPath('g++') ?? onPath('clang++');
    const missing = [
      python === undefined ? 'Python with pip' : '',
      compiler === undefined ? 'a C++ compiler' : '',
    ]
      .filter(Boolean)
      .join(' and ');
    const name = 'Build tools';
    return missing === ''
      ? { name, state: 'ok', found: `${python ?? ''}, ${compiler ?? ''}` }
      : { name, state: 'warning', found: `no ${missing}`, advice: 'needed by lockstep engine install alone' };
  },
  () => {
    const gpus = presentGpus();
    const found =
      gpus.length > 0 ? gpus.join(', ') : 'none that the NVIDIA driver shows; workers compute on the CPU';
    return { name: 'GPUs', state: 'ok', found };
  },
  () => {
    const cores = availableParallelism();
    return { name: 'Cores', state: 'ok', found: `${cores}; without GPUs as many workers at most make sense` };
  },
  () => {
    const found = `${inGigabytes(freemem())} free of ${inGigabytes(totalmem())}`;
    const workers = Math.floor(freemem() / workerBytes);
    return workers >= 2
      ? { name: 'Memory', state: 'ok', found }
      : { name: 'Memory', state: 'warning', found, advice: 'two workers of the recipe take about 1.5 GB' };
  },
  () => disk('Disk, here', process.cwd(), 'runs and checkpoints are written here; choose another --out'),
  () => {
    const cache = engineRoot(currentEngineHost());
    return disk('Disk, cache', existing(cache), 'the engine is kept there; set XDG_CACHE_HOME');
  },
  async () => {
    const folder = tmpdir();
    const writable = await access(folder, constants.W_OK).then(
      () => true,
      () => false,
    );
    return writable
      ? { name: 'Sockets', state: 'ok', found: `${folder} can be written` }
      : {
          name: 'Sockets',
          state: 'problem',
          found: `${folder} can't be written`,
          advice: 'set TMPDIR: workers of one host meet there',
        };
  },
  () => {
    const name = 'Shared memory';
    if (process.platform !== 'linux')
      return {
        name,
        state: 'warning',
        found: 'Linux only',
        advice: 'workers of one host use sockets here, slower; nothing to do',
      };
    const found = existsSync('/proc/self/fd')
      ? 'anonymous files through /proc (/dev/shm is not used)'
      : 'no /proc';
    return existsSync('/proc/self/fd')
      ? { name, state: 'ok', found }
      : { name, state: 'warning', found, advice: 'mount /proc, or workers of one host use sockets, slower' };
  },
  async () => {
    const port = Number(/:(\d+)$/.exec(defaultCoordinator)?.[1] ?? 0);
    return (await free(port))
      ? { name: 'Port', state: 'ok', found: `${port} is free (for pm2 and workers started by hand)` }
      : {
          name: 'Port',
          state: 'warning',
          found: `${port} is taken`,
          advice:
            'a coordinator may run already; else set LOCKSTEP_COORDINATOR. lockstep train needs no port',
        };
  },
  () => {
    const name = 'Open files';
    const limit = openFilesLimit();
    if (limit === undefined) return { name, state: 'ok', found: 'limit unknown on this system' };
    return limit >= neededOpenFiles
      ? { name, state: 'ok', found: `at most ${limit}` }
      : {
          name,
          state: 'warning',
          found: `at most ${limit}`,
          advice: `ulimit -n ${neededOpenFiles} for many workers`,
        };
  },
  () => {
    const found = onPath('pm2') ?? local('pm2');
    return found === undefined
      ? {
          name: 'pm2',
          state: 'ok',
          found: 'not installed; only needed to keep workers running unattended (npm install pm2)',
        }
      : { name: 'pm2', state: 'ok', found };
  },
];

async function disk(name: string, folder: string, advice: string): Promise<Finding> {
  try {
    accessSync(folder, constants.W_OK);
    const { bavail, bsize } = await statfs(folder);
    const found = `${inGigabytes(bavail * bsize)} free in ${folder}`;
    return bavail * bsize >= neededDiskBytes
      ? { name, state: 'ok', found }
      : { name, state: 'warning', found, advice };
  } catch {
    return { name, state: 'problem', found: `${folder} can't be written`, advice };
  }
}

/** The folder, or the nearest above it that is there. */
function existing(folder: string): string {
  return existsSync(folder) ? folder : existing(join(folder, '..'));
}

function onPath(program: string): string | undefined {
  return searchPath()
    .split(delimiter)
    .map((folder) => join(folder, program))
    .find((file) => existsSync(file));
}

function local(program: string): string | undefined {
  const file = join(process.cwd(), 'node_modules', '.bin', program);
  return existsSync(file) ? file : undefined;
}

function openFilesLimit(): number | undefined {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    return undefined;
  }
}

function free(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
