/** The variables of `torchrun`, which other tools and people set as well: RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT. */

import {
  alone,
  folderName,
  givenAddress,
  ranksIn,
  textIn,
  wholeNumberIn,
  type Environment,
  type Placement,
} from './platform.js';

export function torchrun(environment: Environment): Placement | undefined {
  const ranks = ranksIn(environment, {
    rank: 'RANK',
    size: 'WORLD_SIZE',
    localRank: 'LOCAL_RANK',
    localSize: 'LOCAL_WORLD_SIZE',
  });
  const { coordinatorHost, coordinatorPort } = givenAddress(environment);
  if (ranks === undefined || coordinatorHost === null || coordinatorPort === null) return undefined;
  const given = textIn(environment, 'TORCHELASTIC_RUN_ID');
  // The id of a static rendezvous without --rdzv-id.
  const id = given === 'none' ? undefined : given;
  const restarts = wholeNumberIn(environment, 'TORCHELASTIC_RESTART_COUNT') ?? 0;
  return {
    ...alone,
    ...ranks,
    launcher: 'torchrun',
    job: id === undefined ? 'torchrun' : `torchrun job ${id}`,
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
