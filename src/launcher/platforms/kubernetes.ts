/**
 * Kubernetes. The pods of one job form one run, and the pod with index 0 coordinates them. The variables come from Kubeflow's Trainer
 * (PET_*), from Volcano (VC_*), or from Kubernetes' Indexed Jobs together with those that a manifest sets (docs/kubernetes.md).
 */

import { ConfigError } from '../../shared/errors.js';
import { defaultPort } from '../../shared/network/address.js';
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

/** The variable in which a manifest states the address of JobSet's coordinator, from the annotation of that name. */
export const jobSetVariable = 'JOBSET_COORDINATOR';
/** The variable of an Indexed Job's pods, set by Kubernetes. */
export const indexVariable = 'JOB_COMPLETION_INDEX';
/** The number of pods, which Kubernetes does not state. It is also the configuration's number of workers. */
const sizeVariable = 'LOCKSTEP_WORKERS';
const largestPort = 65_535;

export function kubernetes(environment: Environment): Placement | undefined {
  return trainJob(environment) ?? volcano(environment) ?? indexedJob(environment);
}

/** Kubeflow's TrainJob with the policy `torch`. */
function trainJob(environment: Environment): Placement | undefined {
  const names = ['PET_NNODES', 'PET_NODE_RANK', 'PET_MASTER_ADDR'];
  const [nodes, rank, host] = names.map((name) => textIn(environment, name));
  if (nodes === undefined || rank === undefined || host === undefined) return undefined;
  const [size, index] = [
    wholeNumberIn(environment, 'PET_NNODES'),
    wholeNumberIn(environment, 'PET_NODE_RANK'),
  ];
  if (size === undefined || index === undefined || index >= size)
    throw new ConfigError(
      `PET_NNODES and PET_NODE_RANK: expected a number of nodes and a rank below it, got ${nodes} and ${rank}. ` +
        'Set numNodes of the TrainJob, or choose --launcher none.',
    );
  const port = wholeNumberIn(environment, 'PET_MASTER_PORT');
  return podOf('TrainJob', index, size, host, port ?? defaultPort);
}

/** A job of Volcano with the plugins `env` and `svc`: each task has a list of hosts, and a pod has its index within its task. */
function volcano(environment: Environment): Placement | undefined {
  const index = wholeNumberIn(environment, 'VC_TASK_INDEX') ?? wholeNumberIn(environment, 'VK_TASK_INDEX');
  if (index === undefined) return undefined;
  const tasks = Object.entries(environment)
    .flatMap(([name, list]) => {
      const [, task] = /^VC_(\w+)_HOSTS$/.exec(name) ?? [];
      return task === undefined || !list ? [] : [{ task, hosts: list.split(',') }];
    })
    .sort((a, b) => orderOf(a.task) - orderOf(b.task) || a.task.localeCompare(b.task));
  const hosts = tasks.flatMap((task) => task.hosts);
  const [first] = hosts;
  if (first === undefined) return undefined;
  const own = textIn(environment, 'HOSTNAME');
  const rank = tasks.length === 1 ? index : hosts.findIndex((host) => host.split('.')[0] === own);
  if (rank < 0 || rank >= hosts.length)
    throw new ConfigError(
      `Volcano: expected this pod in the lists ${tasks.map(({ task }) => `VC_${task}_HOSTS`).join(', ')}, ` +
        `got index ${index} and HOSTNAME ${own ?? '(none)'}. Use the plugins env and svc, or choose --launcher none.`,
    );
  const { coordinatorHost, coordinatorPort } = givenAddress(environment);
  return podOf('Volcano job', rank, hosts.length, coordinatorHost ?? first, coordinatorPort ?? defaultPort);
}

const leadingTasks: readonly string[] = ['COORDINATOR', 'MASTER'];
const orderOf = (task: string): number => (leadingTasks.includes(task) ? 0 : 1);

/** An Indexed Job, alone or as a part of a JobSet. It can be scaled, so an index may be above the number of workers. */
function indexedJob(environment: Environment): Placement | undefined {
  const index = wholeNumberIn(environment, indexVariable);
  if (index === undefined) return undefined;
  const given = givenAddress(environment);
  const host = textIn(environment, jobSetVariable) ?? given.coordinatorHost;
  const size = wholeNumberIn(environment, sizeVariable);
  if (host !== null && size !== undefined && size > 0)
    return podOf(
      'Indexed Job',
      index,
      Math.max(size, index + 1),
      host,
      given.coordinatorPort ?? defaultPort,
      size,
    );
  return {
    ...alone,
    launcher: 'kubernetes',
    job: `index ${index} of an Indexed Job`,
    restarts: null,
    advice:
      `This pod trains by itself. To train with the other indices, set ${sizeVariable} to their number, ` +
      `and ${jobSetVariable} or MASTER_ADDR to the host of index 0.`,
  };
}

/**
 * @param host of the pod with index 0, for example `job-node-0-0.job`: the name of its service, which is usually that of the job, follows
 * the first dot
 */
function podOf(
  kind: string,
  rank: number,
  size: number,
  host: string,
  port: number,
  workers = size,
): Placement {
  const service = host.split('.')[1];
  if (port < 1 || port > largestPort)
    throw new ConfigError(
      `Port of the coordinator: expected 1 to ${largestPort}, got ${port}. Correct PET_MASTER_PORT or MASTER_PORT.`,
    );
  return {
    ...alone,
    launcher: 'kubernetes',
    job: service === undefined ? kind : `${kind} ${service}`,
    role: roleOf(rank, size),
    rank,
    size: workers,
    coordinatorHost: host,
    hostIsGiven: true,
    coordinatorPort: port,
    folder: service === undefined ? null : folderName('kubernetes', service),
    restarts: null,
  };
}
