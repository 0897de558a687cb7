/** The stage `adapter`: the adapter of the engine, and what NVIDIA's driver says about its GPUs. */

import { spawnSync } from 'node:child_process';
import type { Row, Stage } from '../stage.js';

export const adapterStage: Stage = {
  name: 'adapter',
  title: 'An adapter is found',
  seconds: 20,
  needsAdapter: true,
  run: (check) => {
    const { name, isSoftware } = check.adapter();
    const row: Row = ['WebGPU', `${name}${isSoftware ? ', computes on the CPU' : ''}`];
    return Promise.resolve([row, ...nvidiaRows()]);
  },
};

/** One row for each GPU that NVIDIA's driver lists. */
function nvidiaRows(): Row[] {
  const query = '--query-gpu=index,name,driver_version,memory.total,power.limit,clocks.max.sm';
  const { stdout, error } = spawnSync('nvidia-smi', [query, '--format=csv,noheader'], {
    encoding: 'utf8',
    timeout: 15_000,
  });
  if (error !== undefined) return [['nvidia-smi', 'not found']];
  return stdout
    .trim()
    .split('\n')
    .map((line): Row => ['nvidia-smi', line]);
}
