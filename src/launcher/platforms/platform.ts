/**
 * The interface between a scheduler and `lockstep train`: what the environment of a process states about the job that it belongs to. Each
 * platform is one function of the environment in a file of its own. It returns undefined if the process was not started by the platform.
 */

/** The variables of a process. */
export type Environment = Readonly<Record<string, string | undefined>>;

export type LauncherName = 'none' | 'pm2' | 'slurm' | 'mpi' | 'torchrun' | 'kubernetes';

export interface Placement {
  readonly launcher: LauncherName;
  /** A clause that names the job, for the first line that is printed, for example `Slurm job 12`. */
  readonly job: string;
  /**
   * `launcher`: this process starts the coordinator and the workers of one machine. `coordinator`: this process is a worker of a job with
   * several tasks and coordinates it as well. `worker`: another task of this job coordinates.
   */
  readonly role: 'launcher' | 'coordinator' | 'worker';
  /** Number of this process in its job, from 0. It is a hint: the coordinator assigns ranks. */
  readonly rank: number;
  /** Number of the job's processes. */
  readonly size: number;
  /** Number of this process among those of the job on this node, from 0. */
  readonly localRank: number;
  /** Number of the job's processes on this node. */
  readonly localSize: number;
  /** The nodes of the job in the scheduler's notation; null if they are not stated. */
  readonly nodes: string | null;
  /** Host of the process with rank 0; null if it is not stated. */
  readonly coordinatorHost: string | null;
  /** True if MASTER_ADDR names this host, so that it is used as it is. */
  readonly hostIsGiven: boolean;
  /** The first port that the coordinator tries; null if none follows from the environment. */
  readonly coordinatorPort: number | null;
  /** Name of the folder of the run in `runs/`, the same after a restart of the job; null if the environment has none. */
  readonly folder: string | null;
  /** Distinguishes this start of the job from every other one; null if the environment cannot. */
  readonly start: string | null;
  /** Number of times that the job has been started before; null if the scheduler starts processes again without stating it. */
  readonly restarts: number | null;
  /** Number of cores that the scheduler grants to each task; null if it is not stated. */
  readonly cores: number | null;
  /** The argument of `scontrol requeue`; null if the job cannot be requeued. */
  readonly requeue: string | null;
  /** Advice for a job that is used in a way that does not start its tasks; null: there is none. */
  readonly advice: string | null;
}

export type Platform = (environment: Environment) => Placement | undefined;

/** A process that no scheduler has started. */
export const alone: Placement = {
  launcher: 'none',
  job: 'this machine',
  role: 'launcher',
  rank: 0,
  size: 1,
  localRank: 0,
  localSize: 1,
  nodes: null,
  coordinatorHost: null,
  hostIsGiven: false,
  coordinatorPort: null,
  folder: null,
  start: null,
  restarts: 0,
  cores: null,
  requeue: null,
  advice: null,
};

/** Returns the whole number that a variable contains; undefined if it is unset or contains something else. */
export function wholeNumberIn(environment: Environment, name: string): number | undefined {
  const text = environment[name] ?? '';
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

/** Returns the text of a variable; undefined if it is unset or empty. */
export function textIn(environment: Environment, name: string): string | undefined {
  const text = environment[name];
  return text === '' ? undefined : text;
}

/** Returns the role in a job of `size` processes. */
export function roleOf(rank: number, size: number): Placement['role'] {
  if (size === 1) return 'launcher';
  return rank === 0 ? 'coordinator' : 'worker';
}

/** Names of the variables that number the processes of a job. */
export type RankVariables = Readonly<Record<'rank' | 'size' | 'localRank' | 'localSize', string>>;

/** Returns the numbers of this process; undefined if the environment has no rank, no size, or a rank that is not below the size. */
export function ranksIn(
  environment: Environment,
  names: RankVariables,
): Pick<Placement, 'role' | 'rank' | 'size' | 'localRank' | 'localSize'> | undefined {
  const size = wholeNumberIn(environment, names.size);
  const rank = wholeNumberIn(environment, names.rank);
  if (size === undefined || rank === undefined || rank >= size) return undefined;
  return {
    role: roleOf(rank, size),
    rank,
    size,
    localRank: wholeNumberIn(environment, names.localRank) ?? 0,
    localSize: wholeNumberIn(environment, names.localSize) ?? 1,
  };
}

/** A name of a folder that the texts of a scheduler form. */
export function folderName(...parts: readonly (string | number)[]): string {
  return parts.map((part) => String(part).replaceAll(/[^\w.-]/g, '_')).join('-');
}

/** The host and the port of rank 0, as torchrun names them; other platforms let a user override theirs with them. */
export function givenAddress(
  environment: Environment,
): Pick<Placement, 'coordinatorHost' | 'hostIsGiven' | 'coordinatorPort'> {
  const host = textIn(environment, 'MASTER_ADDR') ?? null;
  const port = wholeNumberIn(environment, 'MASTER_PORT');
  return {
    coordinatorHost: host,
    hostIsGiven: host !== null,
    coordinatorPort: port !== undefined && port >= 1 && port <= 65_535 ? port : null,
  };
}
