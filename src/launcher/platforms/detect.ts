/** Chooses the platform that has started this process. */

import { ConfigError } from '../../shared/errors.js';
import { indexVariable, kubernetes } from './kubernetes.js';
import { openMpi, pmi } from './mpi.js';
import { alone, type Environment, type LauncherName, type Placement, type Platform } from './platform.js';
import { pm2 } from './pm2.js';
import { slurm } from './slurm.js';
import { torchrun } from './torchrun.js';

/**
 * From the innermost platform to the outermost: a job of Slurm may run `torchrun` or `mpirun`, whose variables describe the processes
 * that they start.
 */
const platforms: readonly (readonly [LauncherName, Platform])[] = [
  ['torchrun', torchrun],
  ['mpi', openMpi],
  ['kubernetes', kubernetes],
  ['slurm', slurm],
  ['mpi', pmi],
  ['pm2', pm2],
];

/** Values of `--launcher`. pm2 is always detected, since its variables only number equal processes. */
export const launcherChoices = ['auto', 'none', 'slurm', 'mpi', 'torchrun', 'kubernetes'] as const;
export type LauncherChoice = (typeof launcherChoices)[number];

/** Variables whose absence explains why a platform that the user has named was not found. */
const expected: Readonly<Record<Exclude<LauncherChoice, 'auto' | 'none'>, string>> = {
  slurm: 'SLURM_JOB_ID',
  mpi: 'OMPI_COMM_WORLD_RANK and OMPI_COMM_WORLD_SIZE, or PMI_RANK and PMI_SIZE',
  torchrun: 'RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT',
  kubernetes: `PET_NNODES, PET_NODE_RANK and PET_MASTER_ADDR of a TrainJob, VC_TASK_INDEX and VC_*_HOSTS of Volcano, or ${indexVariable} of an Indexed Job`,
};

/** @throws ConfigError if the variables of the named platform are not set, or contradict each other */
export function detectPlatform(environment: Environment, choice: LauncherChoice = 'auto'): Placement {
  if (choice === 'none') return alone;
  for (const [name, platform] of platforms) {
    if (choice !== 'auto' && name !== choice) continue;
    const placement = platform(environment);
    if (placement) return placement;
  }
  if (choice === 'auto') return alone;
  throw new ConfigError(
    `--launcher ${choice}: expected the environment variables ${expected[choice]}, got none. ` +
      'Start the command in a task of the job, or choose --launcher none.',
  );
}
