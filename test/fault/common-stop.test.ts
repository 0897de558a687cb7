import { describe, expect, it } from 'vitest';
import { ElasticRun } from '../support/elastic-run.js';
import { descendants } from '../support/lockstep.js';

/** Longer than every timeout of the run. */
const stopMs = 12_000;

describe('a stop of all processes of a run (Ctrl-Z, a paused container or machine)', () => {
  it('loses no worker and no coordinator, and the run continues in the same generation', async () => {
    const run = await ElasticRun.start(
      '--workers',
      '2',
      '--peer-timeout-ms',
      '2000',
      '--coordinator-timeout-ms',
      '4000',
      '--step-timeout-ms',
      '4000',
      '--heartbeat-ms',
      '200',
      '--evaluate',
      'none',
    );
    await run.at(5);
    const everyone = [run.launcher.pid, ...(await descendants(run.launcher.pid))];
    expect(everyone).toHaveLength(4);
    for (const pid of everyone) process.kill(pid, 'SIGSTOP');
    await new Promise((resolve) => setTimeout(resolve, stopMs));
    for (const pid of everyone) process.kill(pid, 'SIGCONT');
    const { step } = run.launcher.events.findLast((event) => event.event === 'step')!;
    // Two status events after the stop: every deadline has been checked many times.
    const from = run.launcher.events.length;
    await run.launcher.event('status', (event) => {
      const later = run.launcher.events.slice(from).filter(({ event: name }) => name === 'status');
      return later.indexOf(event) >= 2;
    });
    await run.at(step + 20);
    const changes = run.launcher.events.filter(
      (event) =>
        event.event === 'generation' ||
        event.event === 'warning' ||
        event.event === 'error' ||
        (event.event === 'worker' && event.state !== 'joined'),
    );
    expect(changes).toEqual([]);
    run.launcher.kill('SIGINT');
    const { status, stderr } = await run.launcher.ended;
    expect(status, stderr).toBe(130);
  });
});
