/**
 * Runs a coordinator and its workers under pm2: `npx pm2 start ecosystem.config.js`, after `npm start` or `npm run setup`.
 *
 *   LOCKSTEP_WORKERS      number of workers (default: one per GPU, or 2 without a GPU; with the engine webgpu, one per adapter of
 *                         LOCKSTEP_WEBGPU_ADAPTERS, or 1)
 *   LOCKSTEP_COORDINATOR  address of the coordinator (default: a socket that only this user can reach)
 *   LOCKSTEP_KEYS         folder of keys made by `lockstep keygen`; required for an address that other hosts can reach
 *   LOCKSTEP_PEER_PORT    port of the first worker of this host for the other workers; the next ones use the next ports
 *   LOCKSTEP_ARGS         further options of `lockstep train`, e.g. "--epochs 1 --out 'my run'"
 *
 * The coordinator assigns ranks; pm2's NODE_APP_INSTANCE selects a worker's GPU and its ports. pm2 imports the named export `apps` of this
 * ES module, which requires Node 20.19 or newer.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';

const script = path.join(import.meta.dirname, 'dist', 'cli', 'main.js');
if (!existsSync(script)) {
  process.stderr.write('Lockstep is not built yet. Run `npm run setup`, then this command again.\n');
  process.exit(2);
}

function countGpus() {
  const { stdout } = spawnSync('nvidia-smi', ['--query-gpu=index', '--format=csv,noheader'], {
    encoding: 'utf8',
    timeout: 10_000,
  });
  return stdout ? stdout.split('\n').filter(Boolean).length : 0;
}

/** Splits text at spaces like a shell, with support for quotes but not for escapes or expansions. */
function splitArguments(text) {
  return [...text.matchAll(/(?:[^\s"']|"[^"]*"|'[^']*')+/g)].map(([word]) => word.replace(/["']/g, ''));
}

const runArgs = splitArguments(process.env.LOCKSTEP_ARGS ?? '');
/** The option --workers also sets the number of processes. */
const workersFlag = runArgs.join(' ').match(/--workers[ =](\d+)/)?.[1];
const engine = runArgs.join(' ').match(/--engine[ =](\w+)/)?.[1] ?? process.env.LOCKSTEP_ENGINE;
const adapters = (process.env.LOCKSTEP_WEBGPU_ADAPTERS || 'one').split(';').length;
const devices = () => (engine === 'webgpu' ? adapters : countGpus() || 2);
const workers = Number(workersFlag ?? process.env.LOCKSTEP_WORKERS ?? '') || devices();
const coordinator = process.env.LOCKSTEP_COORDINATOR;
const configFlag = runArgs.find((arg, i) => runArgs[i - 1] === '--config' || arg.startsWith('--config='));
const config = configFlag?.replace('--config=', '');

/** The folder of a run without one in LOCKSTEP_ARGS. pm2 keeps the arguments, so a coordinator that it restarts finds its run again. */
const namesFolder = runArgs.some((arg) => /^--(out|resume)(=|$)/.test(arg));
const time = new Date().toISOString().slice(0, 19).replaceAll(':', '-');
const folder = namesFolder ? [] : ['--out', path.join('runs', time)];

const common = {
  script,
  // Relative paths in LOCKSTEP_ARGS and the folder runs/ refer to the folder in which pm2 was started.
  cwd: process.cwd(),
  exec_mode: 'fork',
  instance_var: 'NODE_APP_INSTANCE',
  env: {
    LOCKSTEP_WORKERS: String(workers),
    ...(coordinator ? { LOCKSTEP_COORDINATOR: coordinator } : {}),
    ...(process.env.LOCKSTEP_KEYS ? { LOCKSTEP_KEYS: path.resolve(process.env.LOCKSTEP_KEYS) } : {}),
  },
  // A worker finishes its step before it exits; the longest step of the default model takes less than a second.
  kill_timeout: 15_000,
  // Exit status 0 is a finished run and 2 a mistake that would be repeated; neither is restarted. After a crash, Lockstep itself waits for 1 s, 1.5 s, and so on up
  // to 15 s before it tries again; src/launcher/back-off.ts explains why it does not use pm2's `exp_backoff_restart_delay`.
  stop_exit_codes: [0, 2],
};

export const apps = [
  {
    ...common,
    name: 'lockstep-coordinator',
    args: ['coordinator', ...runArgs, ...folder],
  },
  {
    ...common,
    name: 'lockstep-worker',
    args: ['worker', ...(config ? ['--config', config] : [])],
    instances: workers,
  },
];
