/** MPI: the variables that Open MPI's `mpirun`, and `mpiexec` of MPICH and its relatives (PMI), set for each process. */

import {
  alone,
  folderName,
  givenAddress,
  roleOf,
  textIn,
  wholeNumberIn,
  type Environment,
  type Placement,
} from './platform.js';

export function openMpi(environment: Environment): Placement | undefined {
  const size = wholeNumberIn(environment, 'OMPI_COMM_WORLD_SIZE');
  const rank = wholeNumberIn(environment, 'OMPI_COMM_WORLD_RANK');
  if (size === undefined || rank === undefined || rank >= size) return undefined;
  const job = textIn(environment, 'PMIX_NAMESPACE') ?? textIn(environment, 'OMPI_MCA_ess_base_jobid');
  return placementOf(environment, {
    rank,
    size,
    localRank: wholeNumberIn(environment, 'OMPI_COMM_WORLD_LOCAL_RANK'),
    localSize: wholeNumberIn(environment, 'OMPI_COMM_WORLD_LOCAL_SIZE'),
    job,
  });
}

/** The process manager interface. `srun --mpi=pmi2` sets its variables as well, so Slurm's own are asked first. */
export function pmi(environment: Environment): Placement | undefined {
  const size = wholeNumberIn(environment, 'PMI_SIZE');
  const rank = wholeNumberIn(environment, 'PMI_RANK');
  if (size === undefined || rank === undefined || rank >= size) return undefined;
  return placementOf(environment, {
    rank,
    size,
    localRank: wholeNumberIn(environment, 'MPI_LOCALRANKID'),
    localSize: wholeNumberIn(environment, 'MPI_LOCALNRANKS'),
    job: undefined,
  });
}

interface Ranks {
  readonly rank: number;
  readonly size: number;
  readonly localRank: number | undefined;
  readonly localSize: number | undefined;
  readonly job: string | undefined;
}

/** MPI does not state the host of rank 0. */
function placementOf(
  environment: Environment,
  { rank, size, localRank = 0, localSize = 1, job }: Ranks,
): Placement {
  return {
    ...alone,
    launcher: 'mpi',
    job: job === undefined ? 'MPI' : `MPI job ${job}`,
    role: roleOf(rank, size),
    rank,
    size,
    localRank,
    localSize,
    ...givenAddress(environment),
    folder: job === undefined ? null : folderName('mpi', job),
  };
}
