import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { RunEvent } from '../../src/shared/runs/run-events.js';
import { Lockstep, alive, descendants, lockstep, temporaryFolder } from '../support/lockstep.js';
import { writeSmallTraining } from '../support/small-training.js';

type Of<Name extends RunEvent['event']> = Extract<RunEvent, { event: Name }>;

const steps = 600;

/** Two steps an epoch, with evaluations in between, so that faults hit those as well. */
const common = [
  '--shards',
  '6',
  '--threads',
  '1',
  '--epochs',
  String(steps / 2),
  '--batch-size',
  '40',
  '--json',
];

class ElasticRun {
  readonly launcher: Lockstep;
  readonly sockets: string;

  constructor(config: string, out: string, sockets: string, options: readonly string[]) {
    this.sockets = sockets;
    this.launcher = new Lockstep(['train', '--config', config, '--out', out, ...common, ...options], {
      env: { TMPDIR: sockets },
    });
  }

  static async start(...options: readonly string[]): Promise<ElasticRun> {
    const folder = await temporaryFolder();
    const { config } = await writeSmallTraining(folder);
    return new ElasticRun(config, join(folder, 'run'), await temporaryFolder(), options);
  }

  /** Who takes part now: pids by rank. */
  get members(): Map<number, number> {
    const pids = new Map<number, number>();
    for (const event of this.launcher.events) {
      if (event.event === 'worker' && event.state === 'joined') pids.set(event.rank ?? -1, event.pid);
      if (event.event !== 'generation') continue;
      pids.clear();
      for (const { rank, pid } of event.workers) pids.set(rank, pid);
    }
    return pids;
  }

  async at(step: number): Promise<void> {
    await this.launcher.event('step', (event) => event.step >= step);
  }

  kill(signal: NodeJS.Signals, ...ranks: readonly number[]): number[] {
    const { members } = this;
    const pids = ranks.map((rank) => members.get(rank) ?? [...members.values()][0] ?? 0);
    for (const pid of pids) process.kill(pid, signal);
    return pids;
  }

  /** Back to so many workers after the generation that is there now. */
  async whole(workers: number): Promise<void> {
    const after = this.generation;
    await this.launcher.event(
      'generation',
      (event) => event.generation > after && event.workers.length === workers,
    );
  }

  get generation(): number {
    const held = this.launcher.events.filter(
      (event): event is Of<'generation'> => event.event === 'generation',
    );
    return held.at(-1)?.generation ?? 1;
  }

  /** The run's end: nothing lost, nothing twice, nothing left behind. */
  async finish(): Promise<string> {
    const { status, events, stderr } = await this.launcher.ended;
    expect(status, stderr).toBe(0);
    const committed = events.flatMap((event) => (event.event === 'step' ? [event.step] : []));
    expect(committed).toEqual(Array.from({ length: steps }, (_, i) => i + 1));
    const tested = events.flatMap((event) =>
      event.event === 'eval' && event.split === 'test' ? [event.epoch] : [],
    );
    expect(tested).toEqual(Array.from({ length: steps / 2 }, (_, i) => i + 1));
    expect(await readdir(this.sockets)).toEqual([]);
    const done = events.at(-1);
    return done?.event === 'done' ? done.weightsSha256 : '';
  }
}

let expected: Promise<string> | undefined;

/** What the undisturbed run ends with. */
function undisturbed(): Promise<string> {
  expected ??= (async () => {
    const folder = await temporaryFolder();
    const { config } = await writeSmallTraining(folder);
    const { events } = await lockstep([
      'train',
      '--config',
      config,
      '--single-process',
      '--out',
      join(folder, 'run'),
      ...common,
    ]);
    const done = events.at(-1);
    return done?.event === 'done' ? done.weightsSha256 : 'no end';
  })();
  return expected;
}

describe('workers come and go in mid-training', () => {
  it('kill -9, again and again, two at once, changes no bit of the weights', async () => {
    const run = await ElasticRun.start('--workers', '3');
    await run.at(20);
    run.kill('SIGKILL', 1);
    await run.whole(3);
    run.kill('SIGKILL', 0, 2);
    await run.whole(3);
    // A newcomer, as soon as it is there.
    run.kill('SIGKILL', 2);
    await run.launcher.event('generation', ({ workers }) => workers.length === 2);
    expect(await run.finish()).toBe(await undisturbed());
    const lost = run.launcher.events.filter((event) => event.event === 'worker' && event.state === 'lost');
    expect(lost.length).toBeGreaterThanOrEqual(4);
  }, 120_000);

  it('a worker that hangs (SIGSTOP) is given up, refused when it wakes, and replaced', async () => {
    const run = await ElasticRun.start('--workers', '2', '--peer-timeout-ms', '1500');
    await run.at(20);
    const [pid = 0] = run.kill('SIGSTOP', 1);
    const lost = await run.launcher.event('worker', ({ state }) => state === 'lost');
    expect(lost).toMatchObject({ pid });
    expect(lost.reason).toMatch(/has not answered for|is silent|made no progress/);
    const without = (event: Of<'generation'>): boolean => event.workers.every((worker) => worker.pid !== pid);
    await run.launcher.event('generation', without);
    // Its launcher may have ended it by now, and its replacement may have come with the same generation.
    if ((await alive([pid])).length > 0) process.kill(pid, 'SIGCONT');
    await run.launcher.event('generation', (event) => without(event) && event.workers.length === 2);
    expect(await alive([pid])).toEqual([]);
    expect([...run.members.values()]).not.toContain(pid);
    expect(await run.finish()).toBe(await undisturbed());
  }, 120_000);

  it('below --min-workers the run waits for others, says so, and goes on', async () => {
    const run = await ElasticRun.start('--workers', '2', '--min-workers', '2');
    await run.at(20);
    run.kill('SIGKILL', 0);
    const { message } = await run.launcher.event('warning');
    expect(message).toMatch(/^Waiting for workers: 1 of at least 2 are connected/);
    expect(await run.finish()).toBe(await undisturbed());
    const generations = run.launcher.events.filter((event) => event.event === 'generation');
    for (const { workers } of generations) expect(workers).toHaveLength(2);
  }, 120_000);

  it('kill -9 of the coordinator, again and again: its successor takes over, and no step is lost', async () => {
    const run = await ElasticRun.start('--workers', '2');
    await run.at(20);
    for (let lives = 0; lives < 3; lives++) {
      const before = run.generation;
      const workers = [...run.members.values()];
      const [coordinator = 0] = (await descendants(run.launcher.pid)).filter((pid) => !workers.includes(pid));
      process.kill(coordinator, 'SIGKILL');
      await run.launcher.event('generation', (event) => event.generation > before);
      // The same workers: nobody had to start again.
      expect([...run.members.values()].sort()).toEqual(workers.sort());
    }
    expect(await run.finish()).toBe(await undisturbed());
  }, 120_000);

  it('kill -9 of the coordinator and of a worker at once', async () => {
    const run = await ElasticRun.start('--workers', '3');
    await run.at(20);
    const workers = [...run.members.values()];
    const [coordinator = 0] = (await descendants(run.launcher.pid)).filter((pid) => !workers.includes(pid));
    process.kill(coordinator, 'SIGKILL');
    run.kill('SIGKILL', 1);
    await run.launcher.event('generation', (event) => event.workers.length === 3);
    expect(await run.finish()).toBe(await undisturbed());
  }, 120_000);

  it('a slow worker is no failure', async () => {
    const run = await ElasticRun.start('--workers', '2', '--peer-timeout-ms', '4000');
    await run.at(20);
    for (let i = 0; i < 5; i++) {
      run.kill('SIGSTOP', 1);
      await new Promise((resolve) => setTimeout(resolve, 400));
      run.kill('SIGCONT', 1);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(await run.finish()).toBe(await undisturbed());
    expect(run.launcher.events.some((event) => event.event === 'generation')).toBe(false);
  }, 120_000);
});
