import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { RunEvent } from '../../src/shared/runs/run-events.js';
import { eventually } from '../support/eventually.js';
import { Lockstep, alive, descendants, temporaryFolder } from '../support/lockstep.js';
import { writeSmallTraining } from '../support/small-training.js';

interface Run {
  readonly launcher: Lockstep;
  readonly workers: readonly Extract<RunEvent, { event: 'worker' }>[];
  readonly everyone: readonly number[];
  readonly coordinator: number;
  /** The run's TMPDIR, where its sockets are. */
  readonly sockets: string;
}

/** A run that would take hours, caught in mid-training. */
async function midTraining(): Promise<Run> {
  const folder = await temporaryFolder();
  const { config } = await writeSmallTraining(folder);
  const sockets = await temporaryFolder();
  const launcher = new Lockstep(
    [
      'train',
      '--config',
      config,
      '--workers',
      '3',
      '--epochs',
      '100000',
      '--evaluate',
      'none',
      '--json',
      '--heartbeat-ms',
      '200',
      '--peer-timeout-ms',
      '5000',
      // No deadline of the product ends an orphan within the limits of this test.
      '--coordinator-timeout-ms',
      '3600000',
      '--threads',
      '1',
      '--out',
      join(folder, 'run'),
    ],
    { env: { TMPDIR: sockets } },
  );
  await launcher.event('step', ({ step }) => step === 5);
  const workers = launcher.events.filter((event) => event.event === 'worker');
  const below = await descendants(launcher.pid);
  const coordinator = below.find((pid) => !workers.some((worker) => worker.pid === pid));
  expect(below).toHaveLength(4);
  expect(await readdir(sockets)).toHaveLength(1);
  return { launcher, workers, everyone: [launcher.pid, ...below], coordinator: coordinator!, sockets };
}

async function endsWith({ launcher, everyone, sockets }: Run) {
  const ended = await launcher.ended;
  // Workers whose launcher was killed end a little later than it.
  await eventually('all processes to end', async () => (await alive(everyone)).length === 0);
  expect(await readdir(sockets)).toEqual([]);
  return ended;
}

const errorOf = (events: readonly RunEvent[]) => events.find((event) => event.event === 'error');

describe('the loss of a process during training', () => {
  it('replaces a coordinator that hangs (SIGSTOP), and the workers continue', async () => {
    const run = await midTraining();
    process.kill(run.coordinator, 'SIGSTOP');
    const { message } = await run.launcher.event('warning');
    expect(message).toMatch(/did not answer for 5 s and was killed by SIGKILL. Its successor takes over/);
    const { workers, step } = await run.launcher.event('generation');
    const pids = run.workers.map(({ pid }) => pid);
    expect(workers.map(({ pid }) => pid).sort()).toEqual(pids.sort());
    await run.launcher.event('step', (event) => event.step > step + 5);
    run.launcher.kill('SIGINT');
    expect((await endsWith(run)).status).toBe(130);
  });

  it('leaves no process behind if the launcher is killed', async () => {
    const run = await midTraining();
    run.launcher.kill('SIGKILL');
    const { signal } = await endsWith(run);
    expect(signal).toBe('SIGKILL');
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('stops the run at %s with status %i', async (signal, expected) => {
    const run = await midTraining();
    run.launcher.kill(signal);
    const { status, events } = await endsWith(run);
    expect(status).toBe(expected);
    expect(errorOf(events)).toMatchObject({ code: 'INTERRUPTED' });
  });
});
