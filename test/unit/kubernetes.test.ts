import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { describePlacement, flagsInJob } from '../../src/cli/job/job-flags.js';
import { readClientKeys } from '../../src/cli/security/key-files.js';
import { detectPlatform } from '../../src/launcher/platforms/detect.js';
import { temporaryFolder } from '../support/lockstep.js';

/** The variables that Kubeflow Trainer 2 sets for the policy `torch`, and those of every pod of an Indexed Job. */
const trainJob = {
  JOB_COMPLETION_INDEX: '2',
  KUBERNETES_SERVICE_HOST: '10.96.0.1',
  PET_NNODES: '4',
  PET_NPROC_PER_NODE: '1',
  PET_NODE_RANK: '2',
  PET_MASTER_ADDR: 'mnist-node-0-0.mnist',
  PET_MASTER_PORT: '29500',
};
const indexed = {
  JOB_COMPLETION_INDEX: '0',
  JOBSET_COORDINATOR: 'mnist-worker-0-0.mnist',
  LOCKSTEP_WORKERS: '3',
};
const volcano = {
  VC_TASK_INDEX: '1',
  VK_TASK_INDEX: '1',
  VC_WORKER_HOSTS: 'job-worker-0.job,job-worker-1.job',
  VC_WORKER_NUM: '2',
  HOSTNAME: 'job-worker-1',
};

describe('the platform of a pod', () => {
  it('is Kubernetes with the ranks and the address of a TrainJob', () => {
    const placement = detectPlatform(trainJob);
    expect(placement).toMatchObject({
      launcher: 'kubernetes',
      job: 'TrainJob mnist',
      role: 'worker',
      rank: 2,
      size: 4,
      localRank: 0,
      localSize: 1,
      coordinatorHost: 'mnist-node-0-0.mnist',
      hostIsGiven: true,
      coordinatorPort: 29_500,
      folder: 'kubernetes-mnist',
      restarts: null,
    });
    expect(detectPlatform({ ...trainJob, PET_NODE_RANK: '0' }).role).toBe('coordinator');
    expect(detectPlatform({ ...trainJob, PET_NNODES: '1', PET_NODE_RANK: '0' }).role).toBe('launcher');
    expect(describePlacement(placement, '/work/run')).toBe(
      'TrainJob mnist: 4 tasks, task 0 coordinates, this is task 2, run folder /work/run (--launcher none ignores the job).',
    );
  });

  it('is refused with an elastic or a wrong number of nodes, by name', () => {
    expect(() => detectPlatform({ ...trainJob, PET_NNODES: '1:4' })).toThrow(/PET_NNODES.*got 1:4 and 2/);
    expect(() => detectPlatform({ ...trainJob, PET_NODE_RANK: '4' })).toThrow(/a rank below it/);
    expect(() => detectPlatform({ ...trainJob, PET_MASTER_PORT: '70000' })).toThrow(/got 70000/);
  });

  it('is Kubernetes for an Indexed Job and for one of a JobSet, which may be scaled', () => {
    expect(detectPlatform(indexed)).toMatchObject({
      job: 'Indexed Job mnist',
      role: 'coordinator',
      size: 3,
      coordinatorHost: 'mnist-worker-0-0.mnist',
      coordinatorPort: 28_600,
    });
    const plain = { JOB_COMPLETION_INDEX: '5', MASTER_ADDR: 'mnist-0.mnist', MASTER_PORT: '30000' };
    expect(detectPlatform({ ...plain, LOCKSTEP_WORKERS: '3' })).toMatchObject({
      role: 'worker',
      rank: 5,
      size: 3,
      coordinatorHost: 'mnist-0.mnist',
      coordinatorPort: 30_000,
    });
  });

  it('is one process, with advice, if an Indexed Job states no coordinator', () => {
    const one = detectPlatform({ JOB_COMPLETION_INDEX: '1' });
    expect(one).toMatchObject({ launcher: 'kubernetes', role: 'launcher', size: 1 });
    expect(one.advice).toMatch(/LOCKSTEP_WORKERS.*JOBSET_COORDINATOR or MASTER_ADDR/);
  });

  it('is Kubernetes for a job of Volcano with one task or with several', () => {
    expect(detectPlatform(volcano)).toMatchObject({
      job: 'Volcano job job',
      role: 'worker',
      rank: 1,
      size: 2,
      coordinatorHost: 'job-worker-0.job',
    });
    const several = { ...volcano, VC_MASTER_HOSTS: 'job-master-0.job', VC_MASTER_NUM: '1' };
    expect(detectPlatform(several)).toMatchObject({ rank: 2, size: 3, coordinatorHost: 'job-master-0.job' });
    expect(detectPlatform({ ...several, VC_TASK_INDEX: '0', HOSTNAME: 'job-master-0' }).role).toBe(
      'coordinator',
    );
    expect(() => detectPlatform({ ...several, HOSTNAME: 'stranger' })).toThrow(
      /VC_MASTER_HOSTS, VC_WORKER_HOSTS, got index 1 and HOSTNAME stranger/,
    );
    expect(detectPlatform({ ...volcano, MASTER_ADDR: 'other' }).coordinatorHost).toBe('other');
  });

  it("is the innermost one, and torchrun's if an operator sets its variables", () => {
    const ranks = { RANK: '1', WORLD_SIZE: '4', MASTER_ADDR: 'job-master-0', MASTER_PORT: '23456' };
    expect(detectPlatform({ ...trainJob, ...ranks }).launcher).toBe('torchrun');
    expect(detectPlatform({ ...trainJob, ...ranks }, 'kubernetes').launcher).toBe('kubernetes');
    expect(detectPlatform(trainJob, 'none').launcher).toBe('none');
    expect(() => detectPlatform({}, 'kubernetes')).toThrow(/PET_NNODES.*VC_TASK_INDEX.*JOB_COMPLETION_INDEX/);
  });

  it('refuses --fresh, since a pod is started again without notice', () => {
    expect(flagsInJob({ out: '/work/run' }, detectPlatform(trainJob))).toMatchObject({
      workers: 4,
      fresh: false,
    });
    expect(() => flagsInJob({ out: '/work/run', fresh: true }, detectPlatform(trainJob))).toThrow(
      /--fresh \(TrainJob mnist\)/,
    );
  });
});

describe('the keys of a mounted Secret', () => {
  /** The folder that kubelet makes: links lead through `..data` to the folder of the present version. */
  async function mountedSecret(version: string): Promise<string> {
    const folder = await temporaryFolder();
    const files = join(folder, version);
    mkdirSync(files, { mode: 0o755 });
    symlinkSync(version, join(folder, '..data'));
    const key = '1234567890123456789012345678901234567890';
    const texts = {
      'coordinator.pub': `lockstep-public ${key} coordinator\n`,
      'worker.key': `lockstep-public ${key} worker\nlockstep-secret ${key} worker\n`,
    };
    for (const [name, text] of Object.entries(texts)) {
      writeFileSync(join(files, name), text);
      chmodSync(join(files, name), 0o444);
      symlinkSync(join('..data', name), join(folder, name));
    }
    return folder;
  }

  it('may be readable by the user of the pod', async (context) => {
    if (process.getuid?.() !== 0) context.skip('needs root, which owns the files of a Secret');
    const keys = await mountedSecret('..2026_01_31_12_00_00.123456789');
    expect(readClientKeys(keys, 'host').own.secretKey).toHaveLength(40);
    expect(() => readClientKeys(join(keys, '..data'), 'host')).not.toThrow();
  });

  it('may not be elsewhere', async () => {
    const keys = await mountedSecret('files');
    expect(() => readClientKeys(keys, 'host')).toThrow(/only its owner can read, got mode 444/);
  });
});
