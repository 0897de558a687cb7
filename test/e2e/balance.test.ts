import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Lockstep, lockstep, temporaryFolder } from '../support/lockstep.js';
import { writeSmallTraining } from '../support/small-training.js';

/** Stops a process five sixths of the time, in turns as short as an operating system's. */
function throttle(pid: number): { end(): void } {
  let phase = 0;
  const timer = setInterval(() => {
    phase = (phase + 1) % 6;
    if (phase === 1) process.kill(pid, 'SIGSTOP');
    if (phase === 0) process.kill(pid, 'SIGCONT');
  }, 10);
  return {
    end: () => {
      clearInterval(timer);
      process.kill(pid, 'SIGCONT');
    },
  };
}

describe('--balance speed', () => {
  it('moves shards away from a worker that is slowed down, without losing a step, and changes no bit', async () => {
    const folder = await temporaryFolder();
    const { config } = await writeSmallTraining(folder, { count: 70 });
    const steps = 300;
    const common = ['train', '--config', config, '--shards', '8', '--threads', '1', '--batch-size', '35'];
    const length = ['--epochs', String(steps / 2), '--evaluate', 'none', '--json'];
    const out = (name: string): string[] => ['--out', join(folder, name)];
    const run = new Lockstep([...common, ...length, ...out('a'), '--workers', '2', '--balance', 'speed']);
    const { pid } = await run.event('worker', ({ rank }) => rank === 1);
    await run.event('step');
    const slowed = throttle(pid);
    const dealt = await run.event('generation').finally(() => slowed.end());
    expect(dealt.reason).toBe('balance');
    expect(dealt.workers.map(({ rank }) => rank)).toEqual([0, 1]);
    const [quick = 0, slow = 0] = dealt.workers.map(({ shards: { start, end } }) => end - start);
    expect(quick + slow).toBe(8);
    expect(slow).toBeLessThan(quick);
    const ended = await run.ended;
    expect(ended.status, ended.stderr).toBe(0);
    const committed = ended.events.flatMap((event) => (event.event === 'step' ? [event.step] : []));
    expect(committed).toEqual(Array.from({ length: steps }, (_, i) => i + 1));

    const plain = await lockstep([...common, ...length, ...out('b'), '--single-process']);
    const hash = (events: typeof plain.events): string =>
      events.flatMap((event) => (event.event === 'done' ? [event.weightsSha256] : []))[0] ?? '';
    expect(hash(ended.events)).toMatch(/^[0-9a-f]{64}$/);
    expect(hash(ended.events)).toBe(hash(plain.events));
  });
});
