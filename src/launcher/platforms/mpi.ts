/** MPI: the variables that Open MPI's `mpirun`, and `mpiexec` of MPICH and its relatives (PMI), set for each process. */

import {
  alone,
  folderName,
  givenAddress,
  ranksIn,
  textIn,
  type Environment,
  type Placement,
  type RankVariables,
} from './platform.js';

export function openMpi(environment: Environment): Placement | undefined {
  const job = textIn(environment, 'PMIX_NAMESPACE') ?? textIn(environment, 'OMPI_MCA_ess_base_jobid');
  return placementOf(environment, job, {
    rank: 'OMPI_COMM_WORLD_RANK',
    size: 'OMPI_COMM_WORLD_SIZE',
    localRank: 'OMPI_COMM_WORLD_LOCAL_RANK',
    localSize: 'OMPI_COMM_WORLD_LOCAL_SIZE',
  });
}

/** The process manager interface. `srun --mpi=pmi2` sets its variables as well, so Slurm's own are asked first. */
export function pmi(environment: Environment): Placement | undefined {
  return placementOf(environment, undefined, {
    rank: 'PMI_RANK',
    size: 'PMI_SIZE',
    localRank: 'MPI_LOCALRANKID',
    localSize: 'MPI_LOCALNRANKS',
  });
}

/** MPI does not state the host of rank 0. */
function placementOf(
  environment: Environment,
  job: string | undefined,
  names: RankVariables,
): Placement | undefined {
  const ranks = ranksIn(environment, names);
  if (ranks === undefined) return undefined;
  return {
    ...alone,
    ...ranks,
    ...givenAddress(environment),
    launcher: 'mpi',
    job: job === undefined ? 'MPI' : `MPI job ${job}`,
    folder: job === undefined ? null : folderName('mpi', job),
  };
}
