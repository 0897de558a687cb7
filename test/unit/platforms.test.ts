import { describe, expect, it } from 'vitest';
import { coresOf } from '../../src/cli/environment/machine.js';
import { describePlacement, flagsInJob, runFolderOf } from '../../src/cli/job/job-flags.js';
import { threadWarnings } from '../../src/cli/options/run-setup.js';
import { detectPlatform } from '../../src/launcher/platforms/detect.js';
import { portAttempts, portOf } from '../../src/launcher/platforms/job-port.js';
import { expandNodeList } from '../../src/launcher/platforms/node-list.js';
import { alone } from '../../src/launcher/platforms/platform.js';
import { countAt } from '../../src/launcher/platforms/slurm.js';

/** The variables that Slurm 22.05 set for the second task of `srun -N3 -n3` in a batch script. */
const slurmTask = {
  SLURM_CPUS_ON_NODE: '1',
  SLURM_JOB_ID: '12',
  SLURM_JOB_NAME: 'job.sh',
  SLURM_JOB_NODELIST: 'n[1-4]',
  SLURM_LOCALID: '0',
  SLURM_NODEID: '1',
  SLURM_NTASKS: '3',
  SLURM_PROCID: '1',
  SLURM_STEP_ID: '0',
  SLURM_STEP_NODELIST: 'n[1-3]',
  SLURM_STEP_NUM_TASKS: '3',
  SLURM_STEP_TASKS_PER_NODE: '1(x3)',
};
/** The variables of the batch script itself. */
const slurmBatch = {
  SLURM_CPUS_ON_NODE: '4',
  SLURM_JOB_ID: '12',
  SLURM_JOB_NAME: 'job.sh',
  SLURM_JOB_NODELIST: 'n[1-3]',
  SLURM_NTASKS: '3',
  SLURM_PROCID: '0',
};
/** The variables that Open MPI 4.1.4 and MPICH 4.0.2 set. */
const openMpi = {
  OMPI_COMM_WORLD_LOCAL_RANK: '1',
  OMPI_COMM_WORLD_LOCAL_SIZE: '2',
  OMPI_COMM_WORLD_RANK: '3',
  OMPI_COMM_WORLD_SIZE: '4',
  PMIX_NAMESPACE: '400883713',
  PMIX_RANK: '3',
};
const mpich = { MPI_LOCALNRANKS: '2', MPI_LOCALRANKID: '1', PMI_RANK: '1', PMI_SIZE: '2' };
const torchrun = {
  RANK: '0',
  WORLD_SIZE: '2',
  LOCAL_RANK: '0',
  LOCAL_WORLD_SIZE: '1',
  MASTER_ADDR: 'head',
  MASTER_PORT: '29500',
};

describe('lists of nodes', () => {
  it.each([
    ['gnode[10,20,25,37]', ['gnode10', 'gnode20', 'gnode25', 'gnode37']],
    ['n[001-003,007]', ['n001', 'n002', 'n003', 'n007']],
    ['a[1-2],b3', ['a1', 'a2', 'b3']],
    ['r[0-1]n[0-3]', ['r0n0', 'r0n1', 'r0n2', 'r0n3', 'r1n0', 'r1n1', 'r1n2', 'r1n3']],
    ['head', ['head']],
    ['n[8-11]-ib', ['n8-ib', 'n9-ib', 'n10-ib', 'n11-ib']],
  ])('%s', (list, names) => {
    expect(expandNodeList(list)).toEqual(names);
  });

  it.each(['', 'n[', 'n]1', 'n[1-', 'n[3-1]', 'n[a]', 'n[1-99999999999]', 'a,,b', 'n[0-999]m[0-999]'])(
    'refuses "%s" with the remedy',
    (list) => {
      expect(() => expandNodeList(list)).toThrow(/Set MASTER_ADDR/);
    },
  );

  it('counts the tasks of a node', () => {
    expect([0, 1, 2, 3, 4].map((node) => countAt('4(x2),3,1', node))).toEqual([4, 4, 3, 1, undefined]);
    expect(countAt(undefined, 0)).toBeUndefined();
  });
});

describe('the platform of a process', () => {
  it('is Slurm for a task of a step', () => {
    expect(detectPlatform(slurmTask)).toMatchObject({
      launcher: 'slurm',
      job: 'Slurm job 12',
      role: 'worker',
      rank: 1,
      size: 3,
      localRank: 0,
      localSize: 1,
      nodes: 'n[1-3]',
      coordinatorHost: 'n1',
      hostIsGiven: false,
      folder: 'slurm-12',
      start: 'slurm-12.0.0',
      restarts: 0,
      cores: 1,
      requeue: '12',
      advice: null,
    });
    expect(detectPlatform({ ...slurmTask, SLURM_PROCID: '0' }).role).toBe('coordinator');
    const jobOnly = { ...slurmTask, SLURM_STEP_NODELIST: undefined };
    expect(detectPlatform(jobOnly).nodes).toBe('n[1-4]');
    expect(detectPlatform({ ...jobOnly, SLURM_JOB_NODELIST: '', SLURM_NODELIST: 'm7' }).nodes).toBe('m7');
  });

  it('gives every start, step and task of an array its own name, port and folder', () => {
    const again = detectPlatform({ ...slurmTask, SLURM_RESTART_COUNT: '2' });
    expect(again).toMatchObject({ folder: 'slurm-12', start: 'slurm-12.0.2', restarts: 2 });
    const second = detectPlatform({ ...slurmTask, SLURM_STEP_ID: '1' });
    expect(second).toMatchObject({ folder: 'slurm-12-step1', start: 'slurm-12.1.0' });
    expect(second.coordinatorPort).toBe(detectPlatform(slurmTask).coordinatorPort! + portAttempts);
    const array = { SLURM_ARRAY_JOB_ID: '10', SLURM_ARRAY_TASK_ID: '3' };
    expect(detectPlatform({ ...slurmTask, ...array })).toMatchObject({
      job: 'Slurm job 10_3',
      folder: 'slurm-10_3',
      requeue: '10_3',
    });
  });

  it('lets MASTER_ADDR and MASTER_PORT override the address', () => {
    expect(detectPlatform({ ...slurmTask, MASTER_ADDR: 'ib-1', MASTER_PORT: '25000' })).toMatchObject({
      coordinatorHost: 'ib-1',
      hostIsGiven: true,
      coordinatorPort: 25_000,
    });
    expect(detectPlatform({ ...slurmTask, MASTER_PORT: '0' }).coordinatorPort).toBe(portOf('slurm-12'));
    expect(portOf('slurm-12')).toBeGreaterThanOrEqual(20_000);
    expect(portOf('slurm-12', 500) + portAttempts).toBeLessThan(28_600);
  });

  it('is one process, with advice, in a batch script without srun and in a shell of salloc', () => {
    const batch = detectPlatform(slurmBatch);
    expect(batch).toMatchObject({ role: 'launcher', size: 1, folder: 'slurm-12', requeue: '12', cores: 4 });
    expect(batch.advice).toMatch(/3 tasks.*srun lockstep train/);
    expect(detectPlatform({ ...slurmBatch, SLURM_NTASKS: '1' }).advice).toBeNull();
    for (const SLURM_JOB_NAME of ['bash', 'interactive'])
      expect(detectPlatform({ ...slurmTask, SLURM_JOB_NAME })).toMatchObject({
        role: 'launcher',
        size: 1,
        folder: null,
        requeue: null,
      });
  });

  it('is MPI for the processes of mpirun and mpiexec', () => {
    expect(detectPlatform(openMpi)).toMatchObject({
      launcher: 'mpi',
      role: 'worker',
      rank: 3,
      size: 4,
      localRank: 1,
      localSize: 2,
      folder: 'mpi-400883713',
      start: null,
      coordinatorHost: null,
    });
    expect(detectPlatform(mpich)).toMatchObject({
      launcher: 'mpi',
      rank: 1,
      size: 2,
      localSize: 2,
      folder: null,
    });
  });

  it('is torchrun for its variables, beside the port of its agent', () => {
    expect(detectPlatform(torchrun)).toMatchObject({
      launcher: 'torchrun',
      role: 'coordinator',
      coordinatorHost: 'head',
      hostIsGiven: true,
      coordinatorPort: 29_500,
      folder: null,
    });
    const agent = {
      TORCHELASTIC_USE_AGENT_STORE: 'True',
      TORCHELASTIC_RUN_ID: 'my run',
      TORCHELASTIC_RESTART_COUNT: '1',
    };
    expect(detectPlatform({ ...torchrun, ...agent })).toMatchObject({
      coordinatorPort: 29_501,
      folder: 'torchrun-my_run',
      restarts: 1,
    });
    expect(detectPlatform({ ...torchrun, MASTER_ADDR: '' }).launcher).toBe('none');
  });

  it('is the innermost one of several', () => {
    expect(detectPlatform({ ...slurmTask, ...openMpi }).launcher).toBe('mpi');
    expect(detectPlatform({ ...slurmTask, ...openMpi, ...torchrun }).launcher).toBe('torchrun');
    // `srun --mpi=pmi2` sets PMI's variables as well.
    expect(detectPlatform({ ...slurmTask, ...mpich }).launcher).toBe('slurm');
  });

  it('is pm2 for its instances, which keep their numbers', () => {
    expect(detectPlatform({ NODE_APP_INSTANCE: '2', pm_id: '5', restart_time: '3' })).toMatchObject({
      launcher: 'pm2',
      role: 'launcher',
      localRank: 2,
      restarts: 3,
      folder: null,
    });
  });

  it('is what --launcher names, or an error that names the missing variables', () => {
    expect(detectPlatform(slurmTask, 'none')).toBe(alone);
    expect(detectPlatform({ ...slurmTask, ...openMpi }, 'slurm').launcher).toBe('slurm');
    expect(detectPlatform({ ...slurmTask, ...mpich }, 'mpi').launcher).toBe('mpi');
    expect(() => detectPlatform({}, 'slurm')).toThrow(/--launcher slurm: .*SLURM_JOB_ID/);
    expect(() => detectPlatform(slurmTask, 'torchrun')).toThrow(/MASTER_ADDR/);
    expect(detectPlatform({})).toBe(alone);
  });
});

describe('the options of train in a job', () => {
  const task = detectPlatform({ ...slurmTask, SLURM_PROCID: '0' });

  it('have one worker per task and a folder that a restarted job finds again', () => {
    expect(flagsInJob({}, task)).toMatchObject({ workers: 3, out: `${process.cwd()}/runs/slurm-12` });
    expect(flagsInJob({ out: 'mine', workers: 3 }, task)).toMatchObject({ out: `${process.cwd()}/mine` });
    expect(flagsInJob({ fresh: true, out: 'mine' }, task).fresh).toBe(true);
    const again = detectPlatform({ ...slurmTask, SLURM_RESTART_COUNT: '1' });
    expect(flagsInJob({ fresh: true, out: 'mine' }, again).fresh).toBe(false);
  });

  it('are refused if they contradict the job', () => {
    expect(() => flagsInJob({ workers: 2 }, task)).toThrow(/--workers: expected 3, .* got 2/);
    expect(() => flagsInJob({ singleProcess: true }, task)).toThrow(
      /--single-process: expected one task, got 3/,
    );
    expect(() => flagsInJob({}, detectPlatform(mpich))).toThrow(/expected --out/);
  });

  it('change nothing without a job', () => {
    expect(flagsInJob({ epochs: 2 }, alone)).toEqual({ epochs: 2, fresh: false });
    expect(runFolderOf({}, alone)).toBeUndefined();
    expect(describePlacement(alone, undefined)).toBeUndefined();
  });

  it('are preceded by a line that names the job', () => {
    expect(describePlacement(task, '/runs/slurm-12')).toBe(
      'Slurm job 12: 3 tasks on n[1-3], task 0 coordinates, run folder /runs/slurm-12 (--launcher none ignores the job).',
    );
  });
});

describe('the cores of a task', () => {
  it.each([
    ['the scheduler grants', { ...alone, cores: 4, localSize: 2 }, 16, 16, 4],
    ['the affinity leaves, if that is less', { ...alone, cores: 4, localSize: 2 }, 2, 16, 2],
    ['the affinity leaves, if the scheduler states nothing', { ...alone, localSize: 2 }, 3, 16, 3],
    ['are a share of the machine if nothing separates the tasks', { ...alone, localSize: 4 }, 16, 16, 4],
    ['are at least one', { ...alone, localSize: 8 }, 2, 2, 1],
  ])('are those that %s', (_, placement, usable, installed, cores) => {
    expect(coresOf(placement, usable, installed)).toBe(cores);
  });

  it('are those of --cpus-per-task, else an equal share of those on the node', () => {
    expect(detectPlatform({ ...slurmTask, SLURM_CPUS_PER_TASK: '6' }).cores).toBe(6);
    const two = { SLURM_CPUS_ON_NODE: '8', SLURM_STEP_TASKS_PER_NODE: '2(x3)' };
    expect(detectPlatform({ ...slurmTask, ...two }).cores).toBe(4);
  });

  it('are named in a warning if a task computes with more threads', () => {
    expect(threadWarnings({ threads: 4 }, { coresPerWorker: 4 })).toEqual([]);
    expect(threadWarnings({ threads: 4 }, { coresPerWorker: null })).toEqual([]);
    expect(threadWarnings({ threads: 4 }, { coresPerWorker: 2 })).toEqual([
      expect.stringMatching(/^Each task computes with 4 threads on 2 of its cores\. .*--cpus-per-task/),
    ]);
  });
});
