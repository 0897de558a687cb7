/**
 * pm2: one coordinator and its workers. `npx pm2 start ecosystem.config.js`, after `npm start` or `npm run setup`.
 *
 *   LOCKSTEP_WORKERS      how many workers; default: one a GPU, or 2 without a GPU
 *   LOCKSTEP_COORDINATOR  the coordinator's address; default tcp://127.0.0.1:29400
 *   LOCKSTEP_KEYS         folder of keys made by `lockstep keygen`; needed for an address that other hosts can reach
 *   LOCKSTEP_ARGS         further options of the run, as for `lockstep train`: "--epochs 1 --out 'my run'"
 *
 * The coordinator deals out ranks; pm2's NODE_APP_INSTANCE only picks a worker's GPU. pm2 reads an ESM file's `apps` by
 * name, and needs Node 20.19 or newer for it.
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

/** Words as a shell would take them, as far as quotes go. */
function words(text) {
  return [...text.matchAll(/(?:[^\s"']|"[^"]*"|'[^']*')+/g)].map(([word]) => word.replace(/["']/g, ''));
}

const runArgs = words(process.env.LOCKSTEP_ARGS ?? '');
/** Whoever says --workers means the number of processes as well. */
const workersFlag = runArgs.join(' ').match(/--workers[ =](\d+)/)?.[1];
const workers = Number(workersFlag ?? process.env.LOCKSTEP_WORKERS ?? '') || countGpus() || 2;
const coordinator = process.env.LOCKSTEP_COORDINATOR || 'tcp://127.0.0.1:29400';

const common = {
  script,
  // Relative paths in LOCKSTEP_ARGS, and runs/, are where pm2 was started.
  cwd: process.cwd(),
  exec_mode: 'fork',
  instance_var: 'NODE_APP_INSTANCE',
  env: {
    LOCKSTEP_WORKERS: String(workers),
    LOCKSTEP_COORDINATOR: coordinator,
    ...(process.env.LOCKSTEP_KEYS ? { LOCKSTEP_KEYS: path.resolve(process.env.LOCKSTEP_KEYS) } : {}),
  },
  // A worker in mid-step needs a moment to leave; the longest step of the recipe takes under a second.
  kill_timeout: 15_000,
  // Status 0 is a finished run: nothing to restart. After a crash Lockstep itself waits 1 s, 1.5 s, ... up to 15 s before
  // it tries again: see src/launcher/back-off.ts for why that is not pm2's `exp_backoff_restart_delay`.
  stop_exit_codes: [0],
};

export const apps = [
  {
    ...common,
    name: 'lockstep-coordinator',
    args: ['coordinator', '--listen', coordinator, ...runArgs],
  },
  {
    ...common,
    name: 'lockstep-worker',
    args: ['worker', '--coordinator', coordinator],
    instances: workers,
  },
];
