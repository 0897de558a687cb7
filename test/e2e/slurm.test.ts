/** `lockstep train` in the tasks of jobs on a real Slurm cluster, by the scripts of docs/slurm.md. The jobs of all tests run at once. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { portOf } from '../../src/launcher/platforms/job-port.js';
import { engineDirectory, engineHost } from '../../src/worker/engine/cache.js';
import { eventually } from '../support/eventually.js';
import { lockstep } from '../support/lockstep.js';
import { trainAlone, writeProject } from '../support/paced-project.js';
import { missingForSlurm, SlurmCluster } from '../support/slurm-cluster.js';
import { guideScript, slurmScripts } from '../support/guide-script.js';
import { eventsOf, SlurmJob } from '../support/slurm-job.js';

const skip = missingForSlurm();
const { batch, header } = slurmScripts;
const env = { PACE: '40' };
const tensorflow = engineDirectory(engineHost(process.env, homedir()), 'cpu');
const hasTensorflow = existsSync(tensorflow);

describe.skipIf(skip !== undefined)(
  `lockstep train in a job of Slurm${skip === undefined ? '' : ` (${skip})`}`,
  () => {
    let cluster: SlurmCluster;
    let project: string;
    let alone: string;
    /** The home folder of the user, with keys. */
    let home: string;

    beforeAll(async () => {
      cluster = await SlurmCluster.start(['main']);
      project = join(cluster.folder, 'project');
      await mkdir(project);
      await writeProject(project);
      alone = await trainAlone(project);
      home = join(project, 'home');
      expect((await lockstep(['keygen', '--out', join(home, 'keys')])).status).toBe(0);
    });
    afterAll(() => cluster.stop());

    const submit = (script: string, ...options: readonly string[]): Promise<SlurmJob> =>
      SlurmJob.submit(cluster, project, script, { env, options });

    it.concurrent(
      'is one run with keys of its own, and takes the next port if another process uses its port',
      async () => {
        const job = await submit(batch.replace('srun', 'srun --label'), '--hold');
        const port = portOf(`slurm-${job.id}`);
        const [program = '', ...args] = cluster.node(1).within;
        const code = `require('node:net').createServer().listen(${port}, () => console.log('listening'))`;
        const other = spawn(program, [...args, process.execPath, '-e', code], {
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        await new Promise((resolve) => other.stdout.once('data', resolve));
        await cluster.run(['scontrol', 'release', job.id]);

        await job.event('step');
        const meeting = join(job.out, `job-slurm-${job.id}.0.0`);
        const record = JSON.parse(await readFile(join(meeting, 'record.json'), 'utf8')) as unknown;
        expect(record).toMatchObject({ content: { endpoint: `tcp://n1:${port + 1}`, encrypted: true } });
        expect((await stat(meeting)).mode & 0o777).toBe(0o700);
        for (const name of ['coordinator.key', 'worker.key'])
          expect((await stat(join(meeting, name))).mode & 0o777).toBe(0o600);

        expect(await job.ended()).toMatchObject({ JobState: 'COMPLETED', ExitCode: '0:0' });
        expect(await job.weights()).toBe(alone);
        const joined = eventsOf(await job.events(), 'worker').map(({ state, host }) => `${state} ${host}`);
        expect(joined.sort()).toEqual(['joined n1', 'joined n2', 'joined n3']);
        expect((await readdir(job.out)).filter((name) => name.startsWith('job'))).toEqual([]);
        // Task 0 prints alone, without the live view of a terminal.
        const printed = (await job.output()).trim().split('\n');
        // On a slow machine, the other tasks print after 10 s what they wait for.
        const lines = printed.filter((line) => !/^[12]: Waiting for task 0 of Slurm job /.test(line));
        expect(lines[0]).toBe(
          `0: Slurm job ${job.id}: 3 tasks on n[1-3], task 0 coordinates, run folder ${job.out} (--launcher none ignores the job).`,
        );
        expect(lines.filter((line) => !/^0: [\x20-\x7e]+$/.test(line))).toEqual([]);
        expect(new Set(lines).size).toBe(lines.length);
      },
    );

    it.concurrent(
      'starts in any order, without a shared folder, and with a name that is known late',
      async () => {
        const local = join(project, 'local');
        await mkdir(local);
        for (const number of [1, 2, 3]) cluster.node(number).run('mount', '-t', 'tmpfs', 'tmpfs', local);
        const inOrder =
          'srun sh -c \'touch started-$SLURM_PROCID; until [ $SLURM_PROCID != 0 ] || [ -e last ]; do sleep 0.1; done; exec "$@"\' sh';
        const script = `${header}${slurmScripts.withKeys}`
          .replace('srun', inOrder)
          .replace('/scratch/$USER/run', `${local}/run --shards 6`);
        const job = await SlurmJob.submit(cluster, project, script, {
          env: { ...env, HOME: home, MASTER_ADDR: 'head.cluster' },
        });
        await eventually('workers that wait', () =>
          [1, 2].every((task) => existsSync(join(project, `started-${task}`))),
        );
        await writeFile(join(project, 'last'), '');
        await eventually('the first line of task 0', async () =>
          (await job.output()).includes('task 0 coordinates'),
        );
        cluster.addName('head.cluster', 1);

        expect(await job.ended()).toMatchObject({ JobState: 'COMPLETED', ExitCode: '0:0' });
        expect(await job.output()).toContain(`weights ${alone.slice(0, 16)}`);
        expect(cluster.node(1).run('ls', join(local, 'run'))).toContain('events.ndjson');
        for (const number of [2, 3]) expect(cluster.node(number).run('ls', '-A', local)).toBe('');
      },
    );

    it.concurrent(
      'ends with 2 in every task if the options contradict the job, and warns without srun',
      async () => {
        const command = 'node_modules/.bin/lockstep train --workers 2';
        const job = await submit(`${header}${command} --config missing.ts\nsrun --label ${command}\n`);
        expect(await job.ended()).toMatchObject({ JobState: 'FAILED', ExitCode: '2:0' });
        const output = await job.output();
        expect(output).toContain(
          'one node of a job with 3 tasks. Start it in every task: srun lockstep train',
        );
        for (const task of [0, 1, 2])
          expect(output).toContain(
            `${task}: Error (CONFIG): --workers: expected 3, the number of tasks (Slurm job ${job.id}), got 2.`,
          );
        expect(await job.statuses()).toEqual([2, 2, 2]);
      },
    );

    it(
      `gives each task one of the GPUs that Slurm or the user has chosen${hasTensorflow ? '' : ' (needs native TensorFlow)'}`,
      { concurrent: true, skip: !hasTensorflow },
      async () => {
        const programs = join(project, 'programs');
        await mkdir(programs);
        await writeFile(join(programs, 'nvidia-smi'), '#!/bin/sh\nseq 0 3\n');
        await chmod(join(programs, 'nvidia-smi'), 0o755);
        const train = 'node_modules/.bin/lockstep train --engine tensorflow --max-steps 2 --shards 2';
        const script = `#!/bin/bash
#SBATCH --nodes=1 --ntasks=2 --cpus-per-task=1 --gpus=4
export PATH=${programs}:$PATH
srun --label --gpus-per-task=2 ${train}
srun --label --gpus=0 env CUDA_VISIBLE_DEVICES=3,1 ${train}
srun --label --gpus=0 env CUDA_VISIBLE_DEVICES=4 ${train}
`;
        const job = await submit(script);
        expect(await job.ended()).toMatchObject({ JobState: 'FAILED', ExitCode: '2:0' });
        const output = await job.output();
        const chosen = [
          ...output.matchAll(/^(\d: Warning: GPU \d) is not used, because the installed Tens/gm),
        ];
        expect(chosen.map(([, text]) => text).sort()).toEqual(
          // Each task has two GPUs of its own, or two GPUs are named in another order.
          [
            [0, 3],
            [3, 1],
          ]
            .flatMap((gpus) => gpus.map((gpu, task) => `${task}: Warning: GPU ${gpu}`))
            .sort(),
        );
        expect(output).toContain(
          'CUDA_VISIBLE_DEVICES: expected numbers of the GPUs that nvidia-smi lists (0, 1, 2, 3)',
        );
      },
    );

    it.concurrent('is one run under mpirun, whose processes are on all nodes of the job', async () => {
      const job = await submit(
        `${header}${guideScript('docs/mpi.md', 'mpirun -n').replace('mpirun', 'mpirun.openmpi --allow-run-as-root')}`,
      );
      expect(await job.ended(), await job.output()).toMatchObject({
        JobState: 'COMPLETED',
        ExitCode: '0:0',
      });
      const output = await job.output();
      expect(output).toMatch(/^MPI job \d+: 3 tasks, task 0 coordinates/m);
      const hosts = [...output.matchAll(/^rank \d \(pid \d+ on (n\d)\)/gm)].map(([, host]) => host);
      expect(hosts.sort()).toEqual(['n1', 'n2', 'n3']);
      expect(output).toContain(`weights ${alone.slice(0, 16)}`);
    });
  },
);
