import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../support/lockstep.js';
import { ElasticRun } from '../support/elastic-run.js';
import { writeSmallTraining } from '../support/small-training.js';

describe('a run whose folder of sockets is removed', () => {
  it('replaces a killed worker, and has the weights of an undisturbed run', async () => {
    const folder = await temporaryFolder();
    const { config } = await writeSmallTraining(folder);
    const temporary = await temporaryFolder();
    const run = new ElasticRun(config, join(folder, 'run'), temporary, ['--workers', '2']);
    await run.at(6);
    for (const name of await readdir(temporary)) await rm(join(temporary, name), { recursive: true });
    const [pid] = run.kill('SIGKILL', 1);
    await run.next(({ workers }) => workers.length === 2);
    expect([...run.members.values()]).not.toContain(pid);
    await run.expectUndisturbed();
  });
});
