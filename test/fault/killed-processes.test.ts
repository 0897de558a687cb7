import { describe, expect, it } from 'vitest';
import { ElasticRun } from '../support/elastic-run.js';

describe('a run whose processes are killed', () => {
  it('has the same weights if its coordinator and a worker are killed at once and replaced', async () => {
    const run = await ElasticRun.start('--workers', '3');
    await run.at(20);
    process.kill(await run.coordinator(), 'SIGKILL');
    const [pid] = run.kill('SIGKILL', 1);
    await run.next(({ workers }) => workers.length === 3);
    expect([...run.members.values()]).not.toContain(pid);
    await run.expectUndisturbed();
  });
});
