import { describe, expect, it } from 'vitest';
import { ElasticRun, undisturbed, type GenerationEvent } from '../support/elastic-run.js';
import { alive } from '../support/lockstep.js';

describe('a run whose workers are lost and replaced', () => {
  it('has the same weights after several workers are killed, two of them at once', async () => {
    const run = await ElasticRun.start('--workers', '3');
    await run.at(20);
    run.kill('SIGKILL', 1);
    await run.next(({ workers }) => workers.length === 3);
    run.kill('SIGKILL', 0, 2);
    await run.next(({ workers }) => workers.length === 3);
    // A newcomer, as soon as it is a member.
    const [newcomer] = run.kill('SIGKILL', 2);
    await run.next(({ workers }) => workers.every(({ pid }) => pid !== newcomer));
    await run.expectUndisturbed();
    const lost = run.launcher.events.filter((event) => event.event === 'worker' && event.state === 'lost');
    expect(lost.length).toBeGreaterThanOrEqual(4);
  });

  it('replaces a worker that hangs (SIGSTOP), and refuses it when it wakes', async () => {
    const run = await ElasticRun.start('--workers', '2', '--peer-timeout-ms', '4000');
    await run.at(20);
    const [pid = 0] = run.kill('SIGSTOP', 1);
    const lost = await run.launcher.event('worker', ({ state }) => state === 'lost');
    expect(lost).toMatchObject({ pid });
    expect(lost.reason).toMatch(/has not answered for|is silent|made no progress/);
    const without = (event: GenerationEvent): boolean => event.workers.every((worker) => worker.pid !== pid);
    await run.launcher.event('generation', without);
    // Its launcher may have ended it by now, and its replacement may have come with the same generation.
    if ((await alive([pid])).length > 0) process.kill(pid, 'SIGCONT');
    await run.launcher.event('generation', (event) => without(event) && event.workers.length === 2);
    expect(await alive([pid])).toEqual([]);
    expect([...run.members.values()]).not.toContain(pid);
    await run.expectUndisturbed();
  });

  it('waits and reports it while fewer than --min-workers remain, then continues to the end', async () => {
    const steps = 600;
    const run = await ElasticRun.start('--workers', '2', '--min-workers', '2', '--max-steps', String(steps));
    await run.at(20);
    run.kill('SIGKILL', 0);
    const { message } = await run.launcher.event('warning');
    expect(message).toMatch(/^Waiting for workers: 1 of at least 2 are connected/);
    expect(await run.finish(steps)).toBe(await undisturbed(steps));
    const generations = run.launcher.events.filter((event) => event.event === 'generation');
    for (const { workers } of generations) expect(workers).toHaveLength(2);
  });

  it('loses no step when its coordinator is killed several times and others take over', async () => {
    const run = await ElasticRun.start('--workers', '2');
    await run.at(20);
    const workers = [...run.members.values()].sort();
    for (let lives = 0; lives < 3; lives++) {
      process.kill(await run.coordinator(), 'SIGKILL');
      await run.next();
      // The same workers: none had to start again.
      expect([...run.members.values()].sort()).toEqual(workers);
    }
    await run.expectUndisturbed();
  });

  it('does not declare a slow worker lost', async () => {
    const run = await ElasticRun.start('--workers', '2', '--peer-timeout-ms', '20000');
    await run.at(20);
    for (let pauses = 0; pauses < 3; pauses++) {
      run.kill('SIGSTOP', 1);
      await run.stall();
      run.kill('SIGCONT', 1);
      const { length } = run.launcher.events;
      await run.launcher.event('step', (event) => run.launcher.events.indexOf(event) >= length);
    }
    await run.expectUndisturbed();
    expect(run.launcher.events.some((event) => event.event === 'generation')).toBe(false);
  });
});
