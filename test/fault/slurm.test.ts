/**
 * A job on a real Slurm cluster that is preempted, cancelled, or loses tasks and nodes. The tests run at once, each on nodes of its own:
 * most of their time Slurm waits before it starts a requeued job again.
 */
import { mkdir, readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TimedEvent } from '../../src/shared/runs/run-events.js';
import { eventually } from '../support/eventually.js';
import { slurmScripts } from '../support/guide-script.js';
import { steps, trainAlone, writeProject } from '../support/paced-project.js';
import { missingForSlurm, SlurmCluster } from '../support/slurm-cluster.js';
import { eventsOf, SlurmJob } from '../support/slurm-job.js';

const skip = missingForSlurm();
const { array, batch, tolerant } = slurmScripts;

/** Time per batch. */
const env = { PACE: '80' };

const stepsIn = (events: readonly TimedEvent[]): number[] => eventsOf(events, 'step').map(({ step }) => step);
const allSteps = Array.from({ length: steps }, (_, i) => i + 1);

describe.skipIf(skip !== undefined)(`a job of Slurm${skip === undefined ? '' : ` (${skip})`}`, () => {
  let cluster: SlurmCluster;
  let project: string;
  let undisturbed: string;
  /** Weights of the array's tasks. */
  let swept: readonly string[];

  beforeAll(async () => {
    cluster = await SlurmCluster.start(['preempted', 'cancelled', 'lossy', 'headless', 'arrays', 'severed']);
    project = join(cluster.folder, 'project');
    await mkdir(project);
    await writeProject(project);
    undisturbed = await trainAlone(project);
    const rate = (value: string): string[] => ['--shards', '2', '--set', `optimizer.learningRate=${value}`];
    swept = [await trainAlone(project, rate('0.003')), await trainAlone(project, rate('0.001'))];
  });
  afterAll(() => cluster.stop());

  /** Submits a job to the three nodes of a partition. */
  const submit = (script: string, partition: string, ...options: readonly string[]): Promise<SlurmJob> =>
    SlurmJob.submit(cluster, project, script, { env, options: [`--partition=${partition}`, ...options] });

  /** Waits until the run is interrupted, and expects one checkpoint, of its last step. Returns the number of events. */
  async function expectSaved(job: SlurmJob, signal: string, skipped: number): Promise<number> {
    const { message } = await job.event('error', () => true, skipped);
    const events = await job.events();
    const saved = eventsOf(events.slice(skipped), 'checkpoint').map(({ step }) => step);
    expect(saved).toEqual([stepsIn(events).at(-1)]);
    expect(message).toContain(`Interrupted by ${signal} after step ${saved[0]}.`);
    return events.length;
  }

  it.concurrent(
    'has the undisturbed weights after three preemptions, on other nodes and with other numbers of tasks',
    async () => {
      const job = await submit(batch, 'preempted');
      // A notice to one task that does not coordinate.
      await job.trains(6);
      const [worker] = eventsOf(await job.events(), 'worker').filter(({ host }) => host === 'n3');
      cluster.node(3).run('kill', '-USR1', String(worker?.pid));
      let seen = await expectSaved(job, 'SIGUSR1', 0);

      // A notice to all tasks, of which there are two now, on the other nodes.
      await job.state('PENDING');
      await job.update('NumTasks=2', 'NumNodes=2', 'ExcNodeList=n1');
      await job.event('step', () => true, seen);
      await job.signal('USR1');
      seen = await expectSaved(job, 'SIGUSR1', seen);

      // A job of a partition with a higher priority takes the nodes.
      await job.event('step', () => true, seen);
      const options = ['--partition=urgent', '--nodelist=n3', '--exclusive'];
      const urgent = await SlurmJob.submit(cluster, project, '#!/bin/sh\nexec sleep 600\n', { options });
      seen = await expectSaved(job, 'SIGTERM', seen);
      await job.state('PENDING');
      await cluster.run(['scancel', urgent.id]);
      await job.update('NumTasks=3', 'NumNodes=3', 'ExcNodeList=');

      expect(await job.ended()).toMatchObject({ JobState: 'COMPLETED', Restarts: '3', ExitCode: '0:0' });
      const events = await job.events();
      expect(stepsIn(events)).toEqual(allSteps);
      expect(await job.weights()).toBe(undisturbed);
      const nodes = [...(await job.output()).matchAll(/tasks on (\S+),/g)].map(([, list]) => list);
      expect(nodes).toEqual(['n[1-3]', 'n[2-3]', 'n[2-3]', 'n[1-3]']);
    },
  );

  it.concurrent(
    'saves its state once when it is cancelled and signalled again, and another job continues it',
    async () => {
      const job = await submit(batch, 'cancelled');
      await job.trains(6);
      const sentMs = Date.now();
      await job.signal('CONT');
      await job.signal('TERM');
      await cluster.run(['scancel', job.id]);
      await expectSaved(job, 'SIGTERM', 0);
      expect(await job.ended()).toMatchObject({ JobState: 'CANCELLED', Restarts: '0' });
      // Slurm kills the tasks KillWait after SIGTERM.
      expect(Date.now() - sentMs).toBeLessThan(30_000);
      for (const node of [4, 5, 6])
        expect(await cluster.log(node)).toMatch(
          new RegExp(`\\[${job.id}\\.0\\] .*exited with exit code 143\\.`),
        );

      const script = batch.replace('lockstep train', `lockstep train --out ${job.out}`);
      const next = await submit(script, 'cancelled', '--nodes=2');
      expect(await next.ended()).toMatchObject({ JobState: 'COMPLETED' });
      expect(stepsIn(await job.events())).toEqual(allSteps);
      expect(await job.weights()).toBe(undisturbed);
    },
  );

  it.concurrent('continues without a killed task and without a lost node', async () => {
    const peerTimeoutMs = 3_000;
    const script = tolerant.replace('lockstep train', `lockstep train --peer-timeout-ms ${peerTimeoutMs}`);
    const job = await submit(script, 'lossy', '--no-kill');
    await job.trains(6);
    const killed = eventsOf(await job.events(), 'worker').find(({ host }) => host === 'n9');
    const killedMs = Date.now();
    cluster.node(9).run('kill', '-KILL', String(killed?.pid));
    expect((await job.trainsWith(2)).timeMs - killedMs).toBeLessThan(5_000);

    const lostMs = Date.now();
    await cluster.lose(8);
    const pauseMs = (await job.trainsWith(1)).timeMs - lostMs;
    // A process that has ended would be noticed at once.
    expect(pauseMs).toBeGreaterThan(peerTimeoutMs / 2);
    expect(pauseMs).toBeLessThan(peerTimeoutMs + 2_000);

    await cluster.declareLost(8);
    // srun ends with the highest status of its tasks.
    expect(await job.ended()).toMatchObject({ JobState: 'FAILED', Restarts: '0', ExitCode: '137:0' });
    expect(stepsIn(await job.events())).toEqual(allSteps);
    expect(await job.weights()).toBe(undisturbed);
  });

  it.concurrent('continues on other nodes after the loss of the node of task 0', async () => {
    // Only the first start must notice a loss soon. On a slow machine, a living process may be silent for seconds.
    const timeoutMs = '$((${SLURM_RESTART_COUNT:-0} ? 60000 : 3000))';
    const options = `--checkpoint-every 4steps --peer-timeout-ms ${timeoutMs} --coordinator-timeout-ms ${timeoutMs}`;
    const script = batch
      .replace('srun', 'srun --error=task-%t-of-%J.log')
      .replace('--checkpoint-every 5min', options);
    const job = await submit(script, 'headless', '--nodes=2-3', '--ntasks=2');
    await job.event('checkpoint', ({ step }) => step >= 8);
    await cluster.lose(10);
    const seen = (await job.events()).length;
    await eventually('the end of the other task', async () =>
      /task 1 .*exited with exit code/.test(await cluster.log(11)),
    );
    expect(await cluster.log(11)).toMatch(/task 1 .*exited with exit code 1\./);
    const printed = await readFile(join(project, `task-1-of-${job.id}.0.log`), 'utf8');
    expect(printed).toMatch(/Coordinator lost: it has not answered for 3 s/);

    // The other task may have written the newest checkpoint without a coordinator that logs it.
    const names = await readdir(join(job.out, 'checkpoints'));
    const newest = Math.max(
      ...names.flatMap((name) => /^step-(\d+)$/.exec(name)?.slice(1).map(Number) ?? []),
    );
    await cluster.declareLost(10);
    const { step } = await job.event('resumed', () => true, seen);
    expect(step).toBe(newest);
    expect(await job.ended(), await job.output()).toMatchObject({
      JobState: 'COMPLETED',
      Restarts: '1',
      NodeList: 'n[11-12]',
    });
    expect(await job.weights()).toBe(undisturbed);
  });

  it.concurrent(
    'is led by task 0 alone while its node is cut off from the others but not from the folder',
    async () => {
      const limits = '--peer-timeout-ms 2000 --coordinator-timeout-ms 3000';
      const script = batch.replace('--checkpoint-every 5min', `--checkpoint-every 4steps ${limits}`);
      const options = ['--partition=severed', '--nodes=2-3', '--ntasks=2'];
      // The requeued job starts while task 0 still trains.
      const job = await SlurmJob.submit(cluster, project, script, { env: { PACE: '3500' }, options });
      await job.event('checkpoint', ({ step }) => step >= 4);
      cluster.cutOff(16);
      await job.trainsWith(1);
      await eventually('the end of the other task', async () =>
        /task 1 .*exited with exit code 1\./.test(await cluster.log(17)),
      );
      await cluster.declareLost(16);

      expect(await job.ended()).toMatchObject({ JobState: 'COMPLETED', Restarts: '1', NodeList: 'n[17-18]' });
      const output = await job.output();
      expect(output).toMatch(/Run .* is led by pid \d+ on n16 already/);
      expect(output).toContain(`The run in ${job.out} is finished already.`);
      const events = await job.events();
      expect(stepsIn(events)).toEqual(allSteps);
      expect(eventsOf(events, 'run')).toHaveLength(1);
      expect(await job.weights()).toBe(undisturbed);
    },
  );

  it.concurrent('is one run per task of an array, each of which is requeued alone', async () => {
    const options = ['--partition=arrays', '--array=1-2'];
    const { id } = await SlurmJob.submit(cluster, project, array, { env, options });
    const [first, second] = [1, 2].map((task) => new SlurmJob(cluster, project, `${id}_${task}`)) as [
      SlurmJob,
      SlurmJob,
    ];
    await first.trains(6);
    await first.signal('USR1');
    await expectSaved(first, 'SIGUSR1', 0);
    const ended = { JobState: 'COMPLETED', ExitCode: '0:0' };
    expect(await second.ended()).toMatchObject({ ...ended, Restarts: '0' });
    expect(await first.ended()).toMatchObject({ ...ended, Restarts: '1' });
    expect(await first.output()).toContain(
      `Slurm job ${first.id} is requeued and will continue from the checkpoint.`,
    );
    expect([await first.weights(), await second.weights()]).toEqual(swept);
    for (const task of [first, second]) expect(stepsIn(await task.events())).toEqual(allSteps);
  });
});
