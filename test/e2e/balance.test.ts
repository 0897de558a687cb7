import { describe, expect, it } from 'vitest';
import { ElasticRun } from '../support/elastic-run.js';

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
  it('moves shards away from a slow worker without aborting a step, and changes no bit', async () => {
    const run = await ElasticRun.start('--workers', '2', '--balance', 'speed');
    await run.at(1);
    const slowed = throttle(run.members.get(1) ?? NaN);
    const dealt = await run.next().finally(() => slowed.end());
    expect(dealt.reason).toBe('balance');
    expect(dealt.workers.map(({ rank }) => rank)).toEqual([0, 1]);
    const [quick = 0, slow = 0] = dealt.workers.map(({ shards: { start, end } }) => end - start);
    expect(quick + slow).toBe(6);
    expect(slow).toBeLessThan(quick);
    await run.expectUndisturbed();
  });
});
