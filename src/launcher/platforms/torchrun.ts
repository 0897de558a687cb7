/** The variables of `torchrun`, which other tools and people set as well: RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT. */

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

export function torchrun(environment: Environment): Placement | undefined {
  const size = wholeNumberIn(environment, 'WORLD_SIZE');
  const rank = wholeNumberIn(environment, 'RANK');
  const { coordinatorHost, coordinatorPort } = givenAddress(environment);
  if (size === undefined || rank === undefined || rank >= size) return undefined;
  if (coordinatorHost === null || coordinatorPort === null) return undefined;
  const given = textIn(environment, 'TORCHELASTIC_RUN_ID');
  // The id of a static rendezvous without --rdzv-id.
  const id = given === 'none' ? undefined : given;
  const restarts = wholeNumberIn(environment, 'TORCHELASTIC_RESTART_COUNT') ?? 0;
  return {
    ...alone,
    launcher: 'torchrun',
    job: id === undefined ? 'torchrun' : `torchrun job ${id}`,
    role: roleOf(rank, size),
    rank,
    size,
    localRank: wholeNumberIn(environment, 'LOCAL_RANK') ?? 0,
    localSize: wholeNumberIn(environment, 'LOCAL_WORLD_SIZE') ?? 1,
    coordinatorHost,
    hostIsGiven: true,
    coordinatorPort: usesPortItself(environment) ? coordinatorPort + 1 : coordinatorPort,
    folder: id === undefined ? null : folderName('torchrun', id),
    restarts,
  };
}

/** True if the agent of torchrun listens at MASTER_PORT with its own store. */
const usesPortItself = (environment: Environment): boolean =>
  textIn(environment, 'TORCHELASTIC_USE_AGENT_STORE')?.toLowerCase() === 'true';
