/**
 * Slurm. The tasks of a step that `srun` starts form one run. A batch script, a shell of `salloc` and the single task of a job start the
 * workers of their own machine, in a folder that is named after the job.
 */

import { portOf } from './job-port.js';
import { expandNodeList } from './node-list.js';
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

/** Names of jobs in which a person works at a prompt. Their variables describe the allocation, and not this command. */
const interactiveNames: readonly string[] = ['bash', 'interactive'];

export function slurm(environment: Environment): Placement | undefined {
  const id = textIn(environment, 'SLURM_JOB_ID');
  if (id === undefined) return undefined;
  const tasks = wholeNumberIn(environment, 'SLURM_STEP_NUM_TASKS');
  const rank = wholeNumberIn(environment, 'SLURM_PROCID');
  const isInteractive = interactiveNames.includes(environment['SLURM_JOB_NAME'] ?? '');
  // Only the tasks of a step have a number of a step; the batch script is not one of them.
  const isTask =
    tasks !== undefined && rank !== undefined && textIn(environment, 'SLURM_STEP_ID') !== undefined;
  if (isTask && !isInteractive) return taskOf(environment, id, tasks, rank);
  return inAllocation(environment, id, isInteractive);
}

function taskOf(environment: Environment, id: string, size: number, rank: number): Placement {
  const step = environment['SLURM_STEP_ID'] ?? '0';
  const restarts = wholeNumberIn(environment, 'SLURM_RESTART_COUNT') ?? 0;
  const nodes = nodeListOf(environment);
  const given = givenAddress(environment);
  const nodeId = wholeNumberIn(environment, 'SLURM_NODEID') ?? 0;
  const localSize = countAt(environment['SLURM_STEP_TASKS_PER_NODE'], nodeId) ?? 1;
  return {
    launcher: 'slurm',
    job: `Slurm job ${nameOf(environment, id)}`,
    role: roleOf(rank, size),
    rank,
    size,
    localRank: wholeNumberIn(environment, 'SLURM_LOCALID') ?? 0,
    localSize,
    nodes,
    coordinatorHost: given.coordinatorHost ?? (nodes === null ? null : (expandNodeList(nodes)[0] ?? null)),
    hostIsGiven: given.hostIsGiven,
    coordinatorPort: given.coordinatorPort ?? portOf(`slurm-${id}`, Number(step)),
    folder:
      step === '0'
        ? folderName('slurm', nameOf(environment, id))
        : folderName('slurm', nameOf(environment, id), `step${step}`),
    start: `slurm-${id}.${step}.${restarts}`,
    restarts,
    cores: coresOf(environment, localSize),
    requeue: nameOf(environment, id),
    advice: null,
  };
}

/** The batch script or a shell: a command without `srun` is one process on one node. */
function inAllocation(environment: Environment, id: string, isInteractive: boolean): Placement {
  const tasks = wholeNumberIn(environment, 'SLURM_NTASKS') ?? 1;
  // A shell of `salloc` outlives its commands, so each of them has a folder of its own.
  const isBatch = !isInteractive && wholeNumberIn(environment, 'SLURM_PROCID') !== undefined;
  return {
    ...alone,
    launcher: 'slurm',
    job: `Slurm job ${nameOf(environment, id)}`,
    nodes: nodeListOf(environment),
    folder: isBatch ? folderName('slurm', nameOf(environment, id)) : null,
    restarts: wholeNumberIn(environment, 'SLURM_RESTART_COUNT') ?? 0,
    cores: wholeNumberIn(environment, 'SLURM_CPUS_ON_NODE') ?? null,
    requeue: isBatch ? nameOf(environment, id) : null,
    advice:
      tasks > 1
        ? `This command uses one node of a job with ${tasks} tasks. Start it in every task: srun lockstep train`
        : null,
  };
}

/** `scontrol` and people name a task of an array by the id of the array and its number. */
function nameOf(environment: Environment, id: string): string {
  const array = textIn(environment, 'SLURM_ARRAY_JOB_ID');
  const task = textIn(environment, 'SLURM_ARRAY_TASK_ID');
  return array === undefined || task === undefined ? id : `${array}_${task}`;
}

/** The nodes of the step; those of the job may be more. */
function nodeListOf(environment: Environment): string | null {
  return (
    textIn(environment, 'SLURM_STEP_NODELIST') ??
    textIn(environment, 'SLURM_JOB_NODELIST') ??
    textIn(environment, 'SLURM_NODELIST') ??
    null
  );
}

/** Returns the number of a node in a list such as `2(x3),1`. */
export function countAt(list: string | undefined, index: number): number | undefined {
  let before = 0;
  for (const part of (list ?? '').split(',')) {
    const [, count, repeated = '1'] = /^(\d+)(?:\(x(\d+)\))?$/.exec(part) ?? [];
    if (count === undefined) return undefined;
    before += Number(repeated);
    if (index < before) return Number(count);
  }
  return undefined;
}

/** Without `--cpus-per-task`, the tasks of a node share the cores that the job has there. */
function coresOf(environment: Environment, localSize: number): number | null {
  const perTask = wholeNumberIn(environment, 'SLURM_CPUS_PER_TASK');
  if (perTask !== undefined && perTask > 0) return perTask;
  const onNode = wholeNumberIn(environment, 'SLURM_CPUS_ON_NODE');
  return onNode === undefined ? null : Math.max(1, Math.floor(onNode / localSize));
}
