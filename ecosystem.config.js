/**
 * pm2: one coordinator and its workers. `npx pm2 start ecosystem.config.js`, after `npm run setup`.
 *
 *   LOCKSTEP_WORKERS      how many workers; default: one a GPU, or 2 without a GPU
 *   LOCKSTEP_COORDINATOR  the coordinator's address; default tcp://127.0.0.1:29400
 *   LOCKSTEP_ARGS         further options of the run, as for `lockstep train`, for example "--epochs 1 --seed 7"
 *
 * The coordinator deals out ranks; pm2's NODE_APP_INSTANCE only picks a worker's GPU. pm2 reads an ESM file's `apps` by
 * name, and needs Node 20.19 or newer for it.
 */
import { spawnSync } from 'node:child_process';

function countGpus() {
  const { stdout } = spawnSync('nvidia-smi', ['--query-gpu=index', '--format=csv,noheader'], {
    encoding: 'utf8',
  });
  return stdout ? stdout.split('\n').filter(Boolean).length : 0;
}

const workers = Number(process.env.LOCKSTEP_WORKERS ?? '') || countGpus() || 2;
const coordinator = process.env.LOCKSTEP_COORDINATOR ?? 'tcp://127.0.0.1:29400';

const common = {
  script: 'dist/cli/main.js',
  cwd: import.meta.dirname,
  exec_mode: 'fork',
  env: { LOCKSTEP_WORKERS: String(workers), LOCKSTEP_COORDINATOR: coordinator },
  // A worker in mid-step needs a moment to leave; the longest step of the recipe takes under a second.
  kill_timeout: 15_000,
  // Status 0 is a finished run: nothing to restart. After a crash: 1 s, 1.5 s, 2.25 s, ... up to 15 s.
  stop_exit_codes: [0],
  exp_backoff_restart_delay: 1_000,
  max_restarts: 10,
};

export const apps = [
  {
    ...common,
    name: 'lockstep-coordinator',
    args: `coordinator --listen ${coordinator} ${process.env.LOCKSTEP_ARGS ?? ''}`.trim(),
  },
  { ...common, name: 'lockstep-worker', args: `worker --coordinator ${coordinator}`, instances: workers },
];
