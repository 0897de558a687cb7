import { describe, expect, it } from 'vitest';
import { ElasticRun } from '../support/elastic-run.js';

describe('processes killed in mid-training', () => {
  it('kill -9 of the coordinator and of a worker at once: both are replaced, and no bit of the weights changes', async () => {
    const run = await ElasticRun.start('--workers', '3');
    await run.at(20);
    process.kill(await run.coordinator(), 'SIGKILL');
    const [pid] = run.kill('SIGKILL', 1);
    await run.next(({ workers }) => workers.length === 3);
    expect([...run.members.values()]).not.toContain(pid);
    await run.expectUndisturbed();
  });
});
