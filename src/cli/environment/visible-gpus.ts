/** The GPUs that a process may use, of those that the NVIDIA driver lists. Pure. */

import { ConfigError } from '../../shared/errors.js';

/** Values with which schedulers and people hide every GPU; Slurm sets the second one in a job without GPUs. */
const hidingAll: readonly string[] = ['', '-1', 'NoDevFiles', 'none', 'void'];

/**
 * Returns the numbers of the GPUs in the order in which CUDA_VISIBLE_DEVICES names them; without it all of them.
 * @param listed lines of `nvidia-smi --query-gpu=index,uuid --format=csv,noheader`
 * @param variable the value of CUDA_VISIBLE_DEVICES; undefined if it is not set
 * @throws ConfigError if the variable contains something else than numbers and UUIDs of these GPUs
 */
export function visibleGpus(listed: string, variable: string | undefined): number[] {
  const present = listed.split('\n').flatMap((line) => {
    const [, index, uuid = ''] = /^(\d+)(?:, *(\S+))?/.exec(line) ?? [];
    return index === undefined ? [] : [{ index: Number(index), uuid }];
  });
  if (variable === undefined || present.length === 0) return present.map(({ index }) => index);
  if (hidingAll.includes(variable)) return [];
  return variable.split(',').map((text) => {
    const entry = text.trim();
    const gpu = present.find(
      ({ index, uuid }) => entry === String(index) || (entry.startsWith('GPU-') && uuid.startsWith(entry)),
    );
    if (gpu !== undefined) return gpu.index;
    throw new ConfigError(
      `CUDA_VISIBLE_DEVICES: expected numbers of the GPUs that nvidia-smi lists (${present.map(({ index }) => index).join(', ')}), ` +
        `or their UUIDs, got "${entry}". Correct the variable, or choose --devices cpu.`,
      { variable },
    );
  });
}
